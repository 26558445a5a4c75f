// The order log of a container: a record of 16 bytes for each chunk that it printed, and how the records are made to add
// up to the bytes where a daemon was killed at work.
//
//   when (u64, nanoseconds since 1970), how long (u32), which stream (u8: 1 or 2), three zero bytes; all little-endian
//
// `LogStore` writes records and repairs them when it opens the files, `log-reader.ts` reads them.

import { fstatSync, ftruncateSync, readSync, writeSync } from 'node:fs';

/** The two streams, by the numbers that they have in the order log and in frames. */
export const STDOUT = 1;
export const STDERR = 2;
export type StreamNumber = typeof STDOUT | typeof STDERR;

/** The length of a record, in bytes. */
export const RECORD_BYTES = 16;
/** The longest chunk that a record tells of, in bytes. */
export const MAX_CHUNK_BYTES = 1024 * 1024;
const LENGTH_AT = 8;
const STREAM_AT = 12;
/** How many records are read at once where all are counted. */
const RECORDS_PER_BLOCK = 16 * 1024;

/** One chunk of output, as the order log tells of it. */
export interface OrderRecord {
  stream: StreamNumber;
  length: number;
  timeNs: bigint;
}

/** How far the three files go, in bytes. */
export interface LogPosition {
  stdout: number;
  stderr: number;
  order: number;
}

/** Open descriptors of the three files. */
export interface OpenLog {
  stdout: number;
  stderr: number;
  order: number;
}

/** The name that a stream has in positions and paths. */
export function keyOf(stream: StreamNumber): 'stdout' | 'stderr' {
  return stream === STDOUT ? 'stdout' : 'stderr';
}

/** The records in a piece of an order log; a torn one at its end is passed over. */
export function decodeRecords(bytes: Buffer): OrderRecord[] {
  return Array.from({ length: Math.floor(bytes.length / RECORD_BYTES) }, (_, i) => ({
    timeNs: bytes.readBigUInt64LE(i * RECORD_BYTES),
    length: bytes.readUInt32LE(i * RECORD_BYTES + LENGTH_AT),
    stream: streamAt(bytes, i * RECORD_BYTES),
  }));
}

/** Writes a record at the end of `size`, which grows with it. Throws where it did not get there whole. */
export function writeRecord({ order }: OpenLog, size: LogPosition, record: OrderRecord): void {
  const bytes = Buffer.alloc(RECORD_BYTES);
  bytes.writeBigUInt64LE(record.timeNs, 0);
  bytes.writeUInt32LE(record.length, LENGTH_AT);
  bytes.writeUInt8(record.stream, STREAM_AT);
  const written = writeSync(order, bytes, 0, RECORD_BYTES, size.order);
  if (written < RECORD_BYTES) throw new Error('Cannot write the order of the output: no space left on device');
  size.order += RECORD_BYTES;
  size[keyOf(record.stream)] += record.length;
}

/** The sizes of the files as they are; a torn record at the end of the order log does not count. */
export function logSizes({ stdout, stderr, order }: OpenLog): LogPosition {
  const orderBytes = fstatSync(order).size;
  return {
    stdout: fstatSync(stdout).size,
    stderr: fstatSync(stderr).size,
    order: orderBytes - (orderBytes % RECORD_BYTES),
  };
}

/**
 * Makes the records add up to the bytes, and returns how far the files go. Too few: an original, or a killed daemon,
 * wrote bytes without a record. Too many: a stream's file was damaged; then the order before this moment is given up.
 */
export function repairRecords(files: OpenLog): LogPosition {
  const size = logSizes(files);
  let recorded = recordedSizes(files);
  if (recorded === undefined) {
    ftruncateSync(files.order, 0);
    recorded = { stdout: 0, stderr: 0, order: 0 };
  }
  recordMissing(files, recorded, STDOUT, size.stdout);
  recordMissing(files, recorded, STDERR, size.stderr);
  return recorded;
}

/** How far the records go; undefined where the streams' files are shorter than that. */
export function recordedSizes(files: OpenLog): LogPosition | undefined {
  const size = logSizes(files);
  const recorded = sumOfRecords(files.order, size.order);
  return recorded.stdout > size.stdout || recorded.stderr > size.stderr ? undefined : recorded;
}

/** Adds up without an object for each record: a log may have millions, and everybody waits. */
function sumOfRecords(order: number, end: number): LogPosition {
  const sum = { stdout: 0, stderr: 0, order: end };
  const block = Buffer.alloc(Math.min(end, RECORD_BYTES * RECORDS_PER_BLOCK));
  for (let at = 0; at < end;) {
    const read = readSync(order, block, 0, Math.min(block.length, end - at), at);
    if (read <= 0) break;
    for (let i = 0; i + RECORD_BYTES <= read; i += RECORD_BYTES) {
      sum[keyOf(streamAt(block, i))] += block.readUInt32LE(i + LENGTH_AT);
    }
    at += read;
  }
  return sum;
}

function recordMissing(files: OpenLog, recorded: LogPosition, stream: StreamNumber, size: number): void {
  const key = keyOf(stream);
  if (recorded[key] === size) return;
  const timeNs = BigInt(Math.trunc(fstatSync(files[key]).mtimeMs)) * 1_000_000n;
  while (recorded[key] < size) {
    writeRecord(files, recorded, { stream, length: Math.min(size - recorded[key], MAX_CHUNK_BYTES), timeNs });
  }
}

function streamAt(bytes: Buffer, at: number): StreamNumber {
  return bytes.readUInt8(at + STREAM_AT) === STDERR ? STDERR : STDOUT;
}
