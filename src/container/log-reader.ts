// Reading a container's logs: in order of arrival, from a place on, following while the container runs.
//
// Each reader has its own descriptors and its own place, and takes the next piece only when the last one is written. So
// a reader that is slow costs neither memory nor anybody else's time: its share waits in the files. Where the log is
// bounded and the reader so slow that its place is gone, it goes on with the oldest that is left.
//
// 2013: utils.go, bufReader; container.go, StdoutLog and StderrLog

import { LogFiles } from './log-files.js';
import { keyOf, RECORD_BYTES, STDOUT, type LogPosition, type OrderRecord, type StreamNumber } from './log-records.js';
import { endOf, type LogGeneration, type LogStore } from './log-store.js';

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

/** Reads in order of arrival into `sink`. Resolves at the end; rejects where a file cannot be read, or the sink rejects, or what it follows breaks off. */
export async function readLog(store: LogStore, options: ReadOptions, sink: LogSink): Promise<void> {
  const reader = new LogFiles();
  try {
    let place = { skip: 0, ...options.from };
    for (;;) {
      const end = store.end.order;
      while (place.order < end && !options.signal.aborted) {
        if (place.order < store.begin.order) place = { ...store.begin, skip: 0 };
        await readSome(store, reader, place, end, options, sink);
      }
      if (options.signal.aborted || !options.follow) return;
      if (store.end.order > end) continue;
      if (!store.isOpen) return store.checkIsWhole();
      await store.growth(options.signal);
    }
  } finally {
    await reader.close();
  }
}

/** What there is of one stream, piece by piece, as `logs` of 2013 prints it. */
export async function readStream(
  store: LogStore,
  stream: StreamNumber,
  signal: AbortSignal,
  sink: LogSink,
): Promise<void> {
  const key = keyOf(stream);
  const files = new LogFiles();
  const end = store.end[key];
  try {
    for (let at = 0; !signal.aborted;) {
      at = Math.max(at, store.begin[key]);
      const generation = generationAt(store, key, at);
      const length = Math.min(PIECE_BYTES, Math.min(end, endOf(generation)[key]) - at);
      if (length <= 0) return;
      await files.use(generation);
      const piece = await files.read(stream, at - generation.start[key], length);
      if (piece.length > 0) await sink(stream, piece, 0n);
      // The file is shorter than its records: it has just been taken away, or was damaged.
      else if (store.begin[key] <= at) at = endOf(generation)[key];
      at += piece.length;
    }
  } finally {
    await files.close();
  }
}

/** The place from which the last `lines` lines of both streams together are read. */
export async function tailPosition(store: LogStore, lines: number): Promise<ReadPosition> {
  const files = new LogFiles();
  const place = { ...store.end, skip: 0 };
  let left = lines;
  let isLastByte = true;
  try {
    while (place.order > store.begin.order && left > 0) {
      const generation = generationAt(store, 'order', place.order - RECORD_BYTES);
      await files.use(generation);
      const [record] = await files.records(place.order - RECORD_BYTES - generation.start.order, 1);
      if (record === undefined) break;
      const key = keyOf(record.stream);
      place.order -= RECORD_BYTES;
      place[key] -= record.length;
      const bytes = await files.read(record.stream, place[key] - generation.start[key], record.length);
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
  store: LogStore,
  files: LogFiles,
  place: ReadPosition,
  end: number,
  options: ReadOptions,
  sink: LogSink,
): Promise<void> {
  const generation = generationAt(store, 'order', place.order);
  const { start } = generation;
  await files.use(generation);
  const count = (Math.min(end, endOf(generation).order) - place.order) / RECORD_BYTES;
  const records = await files.records(place.order - start.order, Math.min(RECORDS_PER_READ, count));
  // The order log is shorter than it was: it has just been taken away, or was damaged. There is nothing to go by.
  if (records.length === 0) Object.assign(place, endOf(generation), { skip: 0 });
  for (const { stream, length, timeNs, count } of joinNeighbours(records, options.separate)) {
    const isWanted = stream === STDOUT ? options.stdout : options.stderr;
    const key = keyOf(stream);
    for (let at = place.skip; isWanted && at < length && !options.signal.aborted;) {
      const piece = await files.read(stream, place[key] - start[key] + at, Math.min(PIECE_BYTES, length - at));
      if (piece.length === 0) break; // the file is shorter than its records: what is gone cannot be shown
      await sink(stream, piece, timeNs);
      at += piece.length;
    }
    place.skip = 0;
    place[key] += length;
    place.order += count * RECORD_BYTES;
  }
}

/** The generation in which the byte or record at `position` is. */
function generationAt(store: LogStore, key: keyof LogPosition, position: number): LogGeneration {
  const { generations } = store;
  return generations.findLast(({ start }) => start[key] <= position) ?? generations[0];
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
