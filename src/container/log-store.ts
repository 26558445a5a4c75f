// The logs of one container on disk: what it printed on each stream, byte for byte, and in which order it arrived.
//
//   ID-stdout.log, ID-stderr.log   the raw bytes of all runs, appended
//   ID-order.log                   a record of 16 bytes a chunk: when (u64, nanoseconds since 1970), how long (u32),
//                                  which stream (u8: 1 or 2), three zero bytes; all little-endian
//
// While a container runs its `OutputPump` appends; readers (`log-reader.ts`) read the files and wait here for growth.
// A chunk is in its stream's file before its record is written, so a daemon that is killed between the two leaves bytes
// without a record; `open` gives them one.
//
// Owns the three descriptors between `open` and `close`.
//
// 2013: container.go of March, Container.Start (the log files); utils.go, writeBroadcaster

import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** The two streams, by the numbers that they have in the order log and in frames. */
export const STDOUT = 1;
export const STDERR = 2;
export type StreamNumber = typeof STDOUT | typeof STDERR;

/** The length of a record of the order log, in bytes. */
export const RECORD_BYTES = 16;
/** The longest chunk that a record tells of, in bytes. */
export const MAX_CHUNK_BYTES = 1024 * 1024;
const LOG_MODE = 0o600;

/** One chunk of output, as the order log tells of it. */
export interface OrderRecord {
  stream: StreamNumber;
  length: number;
  timeNs: bigint;
}

/** How far the files go, in bytes. */
export interface LogPosition {
  stdout: number;
  stderr: number;
  order: number;
}

interface OpenLog {
  stdout: number;
  stderr: number;
  order: number;
}

/** See the head of the file. */
export class LogStore {
  readonly paths: { readonly stdout: string; readonly stderr: string; readonly order: string };
  #files: OpenLog | undefined;
  #end: LogPosition = { stdout: 0, stderr: 0, order: 0 };
  #runBegan: LogPosition = this.#end;
  readonly #waiters = new Set<() => void>();

  constructor(root: string, id: string) {
    const path = (stream: string): string => join(root, `${id}-${stream}.log`);
    this.paths = { stdout: path('stdout'), stderr: path('stderr'), order: path('order') };
  }

  /** Whether a run may still append. */
  get isOpen(): boolean {
    return this.#files !== undefined;
  }

  /** Where the files end now. Between runs: where they ended at `close`, so open and close once before. */
  get end(): LogPosition {
    return { ...this.#end };
  }

  /** Where the run that is under way, or the last one, began. */
  get runBegan(): LogPosition {
    return { ...this.#runBegan };
  }

  /** Makes `end` true between runs, too. */
  refresh(): void {
    if (this.#files !== undefined) return;
    this.open();
    this.close();
  }

  /** Opens the files for a run and repairs the order log where a daemon was killed at work. */
  open(): void {
    if (this.#files !== undefined) return;
    const open = (path: string): number => openSync(path, constants.O_RDWR | constants.O_CREAT, LOG_MODE);
    const files = { stdout: open(this.paths.stdout), stderr: open(this.paths.stderr), order: open(this.paths.order) };
    this.#files = files;
    const size = (fd: number): number => fstatSync(fd).size;
    const order = size(files.order);
    this.#end = { stdout: size(files.stdout), stderr: size(files.stderr), order: order - (order % RECORD_BYTES) };
    this.#repair(files);
    this.#runBegan = this.end;
  }

  /** The run is over: closes the files and wakes the readers, who then see that nothing more comes. */
  close(): void {
    if (this.#files === undefined) return;
    const { stdout, stderr, order } = this.#files;
    for (const fd of [stdout, stderr, order]) closeSync(fd);
    this.#files = undefined;
    this.#wake();
  }

  /** The descriptor and end of a stream's file, for splice(2). */
  target(stream: StreamNumber): { fd: number; position: number } {
    const files = this.#opened();
    return stream === STDOUT
      ? { fd: files.stdout, position: this.#end.stdout }
      : { fd: files.stderr, position: this.#end.stderr };
  }

  /** `length` bytes have been put at the end of the stream's file: records them and wakes the readers. */
  appended(stream: StreamNumber, length: number): void {
    this.#record(this.#opened(), { stream, length, timeNs: BigInt(Date.now()) * 1_000_000n });
    this.#wake();
  }

  /** Appends a line of the daemon's own. */
  append(stream: StreamNumber, text: string): void {
    const { fd, position } = this.target(stream);
    this.appended(stream, writeSync(fd, text, position));
  }

  /** Resolves when something was appended or the run is over; also when `signal` aborts. */
  async growth(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiters.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      this.#waiters.add(wake);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake();
  }

  #opened(): OpenLog {
    if (this.#files === undefined) throw new Error(`The log ${this.paths.order} is not open`);
    return this.#files;
  }

  #record(files: OpenLog, record: OrderRecord): void {
    const written = writeSync(files.order, encodeRecord(record), 0, RECORD_BYTES, this.#end.order);
    if (written < RECORD_BYTES) throw new Error(`Cannot write ${this.paths.order}: no space left on device`);
    this.#end.order += RECORD_BYTES;
    this.#end[record.stream === STDOUT ? 'stdout' : 'stderr'] += record.length;
  }

  /**
   * Makes the records add up to the bytes. Too few: an original, or a killed daemon, wrote bytes without a record. Too
   * many: a stream's file was damaged; then the order before this moment is given up.
   */
  #repair(files: OpenLog): void {
    const { stdout, stderr } = this.#end;
    const recorded = { stdout: 0, stderr: 0 };
    const block = Buffer.alloc(RECORD_BYTES * 4096);
    for (let at = 0; at < this.#end.order;) {
      const read = readSync(files.order, block, 0, Math.min(block.length, this.#end.order - at), at);
      if (read <= 0) break;
      for (const { stream, length } of decodeRecords(block.subarray(0, read))) {
        recorded[stream === STDOUT ? 'stdout' : 'stderr'] += length;
      }
      at += read;
    }
    if (recorded.stdout > stdout || recorded.stderr > stderr) {
      ftruncateSync(files.order, 0);
      this.#end.order = 0;
      recorded.stdout = recorded.stderr = 0;
    }
    this.#end = { ...recorded, order: this.#end.order };
    this.#recordMissing(files, STDOUT, files.stdout, stdout - recorded.stdout);
    this.#recordMissing(files, STDERR, files.stderr, stderr - recorded.stderr);
  }

  #recordMissing(files: OpenLog, stream: StreamNumber, fd: number, bytes: number): void {
    const timeNs = BigInt(Math.trunc(fstatSync(fd).mtimeMs)) * 1_000_000n;
    for (let left = bytes; left > 0; left -= MAX_CHUNK_BYTES) {
      this.#record(files, { stream, length: Math.min(left, MAX_CHUNK_BYTES), timeNs });
    }
  }
}

/** The records in a piece of an order log; a torn one at its end is passed over. */
export function decodeRecords(bytes: Buffer): OrderRecord[] {
  return Array.from({ length: Math.floor(bytes.length / RECORD_BYTES) }, (_, i) => ({
    timeNs: bytes.readBigUInt64LE(i * RECORD_BYTES),
    length: bytes.readUInt32LE(i * RECORD_BYTES + 8),
    stream: bytes.readUInt8(i * RECORD_BYTES + 12) === STDERR ? STDERR : STDOUT,
  }));
}

function encodeRecord({ stream, length, timeNs }: OrderRecord): Buffer {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeBigUInt64LE(timeNs, 0);
  bytes.writeUInt32LE(length, 8);
  bytes.writeUInt8(stream, 12);
  return bytes;
}
