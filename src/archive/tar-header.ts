// One header block of a tar archive, 512 bytes, read as it stands: extended headers are the reader's business.
//
// `Header` of the npm package tar reads the numbers (octal, or base-256 for large ones); names are taken as bytes here, because it
// decodes them as UTF-8 and would lose others.

import { Header } from 'tar/header';
import { ArchiveError, reason } from './archive-error.js';

export const BLOCK_SIZE = 512;
/** The largest name, or set of extended records, that goes before a header: we write no larger one and read none. */
export const MAX_META_SIZE = 1024 * 1024;

/** The fields of a header block. */
export interface TarHeader {
  /** the type letter, `0` for the NUL of old archives */
  type: string;
  name: Buffer;
  linkName: Buffer;
  mode: number;
  uid: number;
  gid: number;
  /** bytes of content in the archive */
  size: number;
  mtimeNs: bigint;
  deviceMajor: number;
  deviceMinor: number;
}

/** True where the checksum is right, which is what makes a block a header. Counted with signed bytes too, as old tars did. */
export function hasValidChecksum(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK_SIZE; at++) {
    // The checksum's own field counts as spaces.
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  const stored = parseInt(bytesField(block, 148, 8).toString('latin1').trim(), 8);
  return stored === unsigned || stored === signed;
}

/** Reads a block that has a valid checksum. Throws on a number that is negative or too large to be exact. */
export function parseHeader(block: Buffer): TarHeader {
  const header = decodedHeader(block);
  const type = block[156] === 0 ? '0' : block.toString('latin1', 156, 157);
  const isPosix = block.toString('latin1', 257, 263) === 'ustar\0'; // GNU's own format says `ustar ` and has no prefix
  const prefix = isPosix ? bytesField(block, 345, 155) : Buffer.alloc(0);
  const base = bytesField(block, 0, 100);
  const isDevice = type === '3' || type === '4';
  return {
    type,
    name: prefix.length === 0 ? Buffer.from(base) : Buffer.concat([prefix, Buffer.from('/'), base]),
    linkName: Buffer.from(bytesField(block, 157, 100)),
    mode: header.mode ?? 0,
    uid: header.uid ?? 0,
    gid: header.gid ?? 0,
    size: numberField(block, 124, 12),
    mtimeNs: timeField(header.mtime),
    deviceMajor: isDevice ? numberField(block, 329, 8) : 0,
    deviceMinor: isDevice ? numberField(block, 337, 8) : 0,
  };
}

/** The bytes of a text field up to its NUL, if it has one; a view of the block. */
export function bytesField(block: Buffer, offset: number, length: number): Buffer {
  const end = block.indexOf(0, offset);
  return block.subarray(offset, end < 0 || end > offset + length ? offset + length : end);
}

/**
 * A number that `Header` does not know of, such as those of sparse maps and devices in GNU's format, and the size, which it
 * takes for 0 where a name that is cut off happens to end in a slash. Octal or base-256.
 */
export function numberField(block: Buffer, offset: number, length: number): number {
  const field = block.subarray(offset, offset + length);
  const first = field[0] ?? 0;
  const octal = bytesField(block, offset, length).toString('latin1').trim();
  let number = 0;
  if ((first & 0x80) !== 0) for (const byte of [first & 0x7f, ...field.subarray(1)]) number = number * 256 + byte;
  else if (octal !== '') number = /^[0-7]+$/.test(octal) ? parseInt(octal, 8) : NaN;
  if (!Number.isSafeInteger(number)) throw new ArchiveError('a number is invalid or out of range');
  return number;
}

function decodedHeader(block: Buffer): Header {
  try {
    return new Header(block);
  } catch (error) {
    throw new ArchiveError(`a number is invalid or out of range (${reason(error)})`, error);
  }
}

function timeField(mtime: Date | undefined): bigint {
  const milliseconds = mtime?.getTime() ?? 0;
  if (Number.isNaN(milliseconds)) throw new ArchiveError('the time is out of range');
  return BigInt(milliseconds) * 1_000_000n;
}
