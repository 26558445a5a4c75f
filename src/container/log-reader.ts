// Reading a container's logs: in order of arrival, from a place on, following while the container runs.
//
// Each reader has its own descriptors and its own place, and takes the next piece only when the last one is written. So
// a reader that is slow costs neither memory nor anybody else's time: its share waits in the files.
//
// 2013: utils.go, bufReader; container.go, StdoutLog and StderrLog

import { open, type FileHandle } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';
import {
  decodeRecords,
  RECORD_BYTES,
  STDOUT,
  type LogPosition,
  type LogStore,
  type OrderRecord,
  type StreamNumber,
} from './log-store.js';

/** The most that is read and written at once, in bytes. */
const PIECE_BYTES = 256 * 1024;
const RECORDS_PER_READ = 256;
const NEWLINE = 0x0a;

/** A place in the logs; `skip` bytes of the record at `order` are behind it. */
export type ReadPosition = LogPosition & { skip: number };

/** Takes one piece of output; resolves when it needs the piece no more and there is room for the next. */
export type LogSink = (stream: StreamNumber, piece: Buffer, timeNs: bigint) => Promise<void>;

/** What is read. */
export interface ReadOptions {
  /** where to begin */
  from: LogPosition & { skip?: number };
  /** go on until the run is over; else until what is there now has been read */
  follow: boolean;
  stdout: boolean;
  stderr: boolean;
  /** a piece for each record, for who wants the times */
  separate: boolean;
  /** ends the reading early */
  signal: AbortSignal;
}

/** Reads in order of arrival into `sink`. Resolves at the end; rejects where a file cannot be read, or the sink rejects. */
export async function readLog(store: LogStore, options: ReadOptions, sink: LogSink): Promise<void> {
  const files = await LogFiles.open(store);
  try {
    const place = { skip: 0, ...options.from };
    for (;;) {
      const end = store.end.order;
      while (place.order < end && !options.signal.aborted) await readSome(files, place, end, options, sink);
      if (options.signal.aborted || !options.follow) return;
      if (store.end.order > end) continue;
      if (!store.isOpen) return;
      await store.growth(options.signal);
    }
  } finally {
    await files.close();
  }
}

/** What one stream's file holds now, piece by piece, as `logs` of 2013 prints it. */
export async function readStream(
  store: LogStore,
  stream: StreamNumber,
  signal: AbortSignal,
  sink: LogSink,
): Promise<void> {
  const files = await LogFiles.open(store);
  try {
    for (let at = 0; !signal.aborted;) {
      const piece = await files.read(stream, at, PIECE_BYTES);
      if (piece.length === 0) return;
      await sink(stream, piece, 0n);
      at += piece.length;
    }
  } finally {
    await files.close();
  }
}

/** The place from which the last `lines` lines of both streams together are read. */
export async function tailPosition(store: LogStore, lines: number): Promise<ReadPosition> {
  const files = await LogFiles.open(store);
  const place = { ...store.end, skip: 0 };
  let left = lines;
  let isLastByte = true;
  try {
    while (place.order > 0 && left > 0) {
      const [record] = await files.records(place.order - RECORD_BYTES, 1);
      if (record === undefined) break;
      const key = keyOf(record.stream);
      place.order -= RECORD_BYTES;
      place[key] -= record.length;
      const bytes = await files.read(record.stream, place[key], record.length);
      for (let at = bytes.length - 1; at >= 0; at--, isLastByte = false) {
        // The newline at the very end closes the last line and begins none.
        if (bytes[at] === NEWLINE && !isLastByte && --left === 0) return { ...place, skip: at + 1 };
      }
    }
    return place;
  } finally {
    await files.close();
  }
}

/** Writes what the next records tell of: neighbours of one stream in one piece, unless the sink wants the times. */
async function readSome(
  files: LogFiles,
  place: ReadPosition,
  end: number,
  options: ReadOptions,
  sink: LogSink,
): Promise<void> {
  const records = await files.records(place.order, Math.min(RECORDS_PER_READ, (end - place.order) / RECORD_BYTES));
  for (const { stream, length, timeNs, count } of joinNeighbours(records, options.separate)) {
    const isWanted = stream === STDOUT ? options.stdout : options.stderr;
    const key = keyOf(stream);
    for (let at = place.skip; isWanted && at < length && !options.signal.aborted;) {
      const piece = await files.read(stream, place[key] + at, Math.min(PIECE_BYTES, length - at));
      if (piece.length === 0) break; // the file is shorter than its records: what is gone cannot be shown
      await sink(stream, piece, timeNs);
      at += piece.length;
    }
    place.skip = 0;
    place[key] += length;
    place.order += count * RECORD_BYTES;
  }
}

function joinNeighbours(records: OrderRecord[], separate: boolean): (OrderRecord & { count: number })[] {
  const joined: (OrderRecord & { count: number })[] = [];
  for (const record of records) {
    const last = joined.at(-1);
    if (!separate && last?.stream === record.stream) {
      last.length += record.length;
      last.count++;
    } else {
      joined.push({ ...record, count: 1 });
    }
  }
  return joined;
}

function keyOf(stream: StreamNumber): 'stdout' | 'stderr' {
  return stream === STDOUT ? 'stdout' : 'stderr';
}

/** A reader's own descriptors on the three files. A file that is missing is an empty one. */
class LogFiles {
  readonly #handles: Readonly<Record<keyof LogPosition, FileHandle | undefined>>;

  #piece = Buffer.alloc(0);

  private constructor(handles: Record<keyof LogPosition, FileHandle | undefined>) {
    this.#handles = handles;
  }

  static async open({ paths }: LogStore): Promise<LogFiles> {
    const [stdout, stderr, order] = await Promise.all([paths.stdout, paths.stderr, paths.order].map(openIfThere));
    return new LogFiles({ stdout, stderr, order });
  }

  async close(): Promise<void> {
    const { stdout, stderr, order } = this.#handles;
    for (const handle of [stdout, stderr, order]) await handle?.close();
  }

  /** One buffer serves all reads: a piece is good until the next one is read. */
  read(stream: StreamNumber, position: number, length: number): Promise<Buffer> {
    if (this.#piece.length < length) this.#piece = Buffer.allocUnsafe(length);
    return readAt(this.#handles[keyOf(stream)], position, this.#piece.subarray(0, length));
  }

  async records(position: number, count: number): Promise<OrderRecord[]> {
    return decodeRecords(await readAt(this.#handles.order, position, Buffer.alloc(count * RECORD_BYTES)));
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function readAt(handle: FileHandle | undefined, position: number, into: Buffer): Promise<Buffer> {
  if (handle === undefined) return into.subarray(0, 0);
  const { bytesRead } = await handle.read(into, 0, into.length, position);
  return into.subarray(0, bytesRead);
}
