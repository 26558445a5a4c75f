// The logs of one container on disk: what it printed on each stream, byte for byte, and in which order it arrived.
//
//   ID-stdout.log, ID-stderr.log   the raw bytes of all runs, appended
//   ID-order.log                   when, how long and on which stream each chunk was (log-records.ts)
//   the same with .1 behind        only with `--log-max`: the generation before (log-rotation.ts)
//
// While a container runs its `OutputPump` appends; readers (`log-reader.ts`) read the files and wait here for growth.
// A chunk is in its stream's file before its record is written, so a daemon that is killed between the two leaves bytes
// without a record; `open` gives them one. Positions count on over the generations: what is before `begin` is gone.
//
// Owns the three descriptors between `open` and `close`.
//
// 2013: container.go of March, Container.Start (the log files); utils.go, writeBroadcaster

import { closeSync, constants, writeSync } from 'node:fs';
import { hasCode } from '../linux/libc.js';
import { errorMessage } from '../util/errors.js';
import {
  keyOf,
  logSizes,
  MAX_CHUNK_BYTES,
  RECORD_BYTES,
  recordedSizes,
  repairRecords,
  writeRecord,
  type LogPosition,
  type OpenLog,
  type StreamNumber,
} from './log-records.js';
import { logPaths, olderPaths, openLog, recoverRotation, removeOlder, rotate, type LogPaths } from './log-rotation.js';

const { O_RDONLY, O_RDWR, O_CREAT, O_TRUNC } = constants;

/** A part of the log that lies in three files. */
export interface LogGeneration {
  /** another object once they are renamed */
  paths: LogPaths;
  /** where it begins */
  readonly start: LogPosition;
  /** how far its files go */
  size: LogPosition;
  /** it has been removed, or is just being removed */
  isGone: boolean;
}

/** See the head of the file. */
export class LogStore {
  readonly paths: LogPaths;
  /** what each generation may have, in bytes */
  readonly #generationBytes: number;
  #files: OpenLog | undefined;
  #current: LogGeneration;
  #older: LogGeneration | undefined;
  #isKnown = false;
  #runBegan: LogPosition = nowhere();
  readonly #id: string;
  #loss: unknown;
  readonly #waiters = new Set<() => void>();

  /** `maxBytes` is what all of its files may have together; without a bound where it is 0. */
  constructor(root: string, id: string, maxBytes = 0) {
    this.paths = logPaths(root, id);
    this.#id = id;
    this.#generationBytes = maxBytes === 0 ? Infinity : Math.floor(maxBytes / 2);
    this.#current = { paths: this.paths, start: nowhere(), size: nowhere(), isGone: false };
  }

  /** Whether a run may still append. */
  get isOpen(): boolean {
    return this.#files !== undefined;
  }

  /** Where the files end now. Between runs: where they ended at `close`, so open and close once before. */
  get end(): LogPosition {
    return endOf(this.#current);
  }

  /** Where the oldest of what is kept begins. */
  get begin(): LogPosition {
    return { ...this.generations[0].start };
  }

  /** Where the run that is under way, or the last one, began. What of it is gone is before `begin`. */
  get runBegan(): LogPosition {
    return { ...this.#runBegan };
  }

  /** What there is to read, the oldest first. */
  get generations(): readonly [LogGeneration, ...LogGeneration[]] {
    return this.#older === undefined || this.#older.isGone ? [this.#current] : [this.#older, this.#current];
  }

  /** How long the next chunk may be, in bytes; none where `makeRoom` comes first. */
  get room(): number {
    const { stdout, stderr, order } = this.#current.size;
    return Math.max(0, Math.min(MAX_CHUNK_BYTES, this.#generationBytes - stdout - stderr - order - RECORD_BYTES));
  }

  /** Makes `end` true between runs, too. On a disk that takes no writes nothing is repaired: it is where the records end. */
  refresh(): void {
    if (this.#files !== undefined) return;
    try {
      this.open();
    } catch (error) {
      if (!hasCode(error, 'EROFS')) throw error;
      this.#open(O_RDONLY, (files) => recordedSizes(files) ?? nowhere());
    }
    this.close();
  }

  /** Opens the files for a run and repairs them where a daemon was killed at work. */
  open(): void {
    if (this.#files === undefined) this.#open(O_RDWR | O_CREAT, repairRecords);
  }

  #open(flags: number, sizesOf: (files: OpenLog) => LogPosition): void {
    if (recoverRotation(this.paths) && !this.#isKnown) this.#openOlder(flags, sizesOf);
    const files = openLog(this.paths, flags);
    try {
      if (!this.#isKnown || !isSame(logSizes(files), this.#current.size)) this.#current.size = sizesOf(files);
    } catch (error) {
      closeLog(files);
      throw error;
    }
    this.#files = files;
    this.#loss = undefined;
    this.#isKnown = true;
    this.#runBegan = this.end;
  }

  /** The run is over: closes the files and wakes the readers, who then see that nothing more comes. */
  close(): void {
    if (this.#files === undefined) return;
    closeLog(this.#files);
    this.#files = undefined;
    this.#wake();
  }

  /** The end of what this run prints is given up: `reason` is why the log cannot take it. */
  giveUp(reason: unknown): void {
    this.#loss ??= reason;
  }

  /** Throws where the last run printed what is not here: who reads to the end would not know. */
  checkIsWhole(): void {
    if (this.#loss === undefined) return;
    throw new Error(`Cannot keep the output of container ${this.#id} to its end: ${errorMessage(this.#loss)}`, {
      cause: this.#loss,
    });
  }

  /** Resolves when there is room for a chunk: where the log has reached its bound, the older half of it goes. */
  async makeRoom(): Promise<void> {
    if (this.room > 0) return;
    if (this.#older !== undefined) {
      this.#older.isGone = true;
      await removeOlder(this.paths);
      this.#older = undefined;
    }
    const full = this.#opened();
    // From here on without a wait: a reader looks for the files by name.
    this.#files = rotate(this.paths, O_RDWR | O_CREAT | O_TRUNC);
    closeLog(full);
    this.#older = this.#current;
    this.#older.paths = olderPaths(this.paths);
    this.#current = { paths: this.paths, start: endOf(this.#older), size: nowhere(), isGone: false };
  }

  /** The descriptor and end of a stream's file, for splice(2). */
  target(stream: StreamNumber): { fd: number; position: number } {
    return { fd: this.#opened()[keyOf(stream)], position: this.#current.size[keyOf(stream)] };
  }

  /** `length` bytes have been put at the end of the stream's file: records them and wakes the readers. */
  appended(stream: StreamNumber, length: number): void {
    writeRecord(this.#opened(), this.#current.size, { stream, length, timeNs: BigInt(Date.now()) * 1_000_000n });
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

  #openOlder(flags: number, sizesOf: (files: OpenLog) => LogPosition): void {
    const paths = olderPaths(this.paths);
    const files = openLog(paths, flags);
    try {
      this.#older = { paths, start: nowhere(), size: sizesOf(files), isGone: false };
    } finally {
      closeLog(files);
    }
    this.#current = { paths: this.paths, start: endOf(this.#older), size: nowhere(), isGone: false };
  }
}

/** Where a generation ends. */
export function endOf({ start, size }: LogGeneration): LogPosition {
  return { stdout: start.stdout + size.stdout, stderr: start.stderr + size.stderr, order: start.order + size.order };
}

function isSame(one: LogPosition, other: LogPosition): boolean {
  return one.stdout === other.stdout && one.stderr === other.stderr && one.order === other.order;
}

function nowhere(): LogPosition {
  return { stdout: 0, stderr: 0, order: 0 };
}

function closeLog({ stdout, stderr, order }: OpenLog): void {
  for (const fd of [stdout, stderr, order]) closeSync(fd);
}
