// Where the content of a sparse file goes. Four forms are about: GNU tar's own (in the header and in blocks after it),
// and pax 0.0 (a record a number), 0.1 (one record) and 1.0 (lines of text ahead of the content).
//
// The tar reader asks. The number of extents is bounded here, because an archive may claim any.

import { ArchiveError, quoteName } from './archive-error.js';
import { parsePaxNumber, type PaxRecord } from './pax.js';
import { bytesField, numberField } from './tar-header.js';
import type { Extent } from './tar-entry.js';

/** Of one file. */
export const MAX_EXTENTS = 1 << 18;
const NEWLINE = 0x0a;

/** What a block of GNU's own form tells, and whether another block follows it. */
export interface OldSparseBlock {
  extents: Extent[];
  hasMore: boolean;
}

/** What the records of a pax header say about a sparse file. */
export interface PaxSparse {
  size: number;
  /** undefined: form 1.0, the extents stand ahead of the content */
  extents: Extent[] | undefined;
}

/** The first extents of GNU's own form, and the size of the file on disk. */
export function parseOldSparseHeader(block: Buffer): OldSparseBlock & { size: number } {
  return { extents: oldExtents(block, 386, 4), hasMore: block[482] !== 0, size: numberField(block, 483, 12) };
}

/** A block of further extents. */
export function parseOldSparseExtension(block: Buffer): OldSparseBlock {
  return { extents: oldExtents(block, 0, 21), hasMore: block[504] !== 0 };
}

/** The sparse map of the records, or undefined where they are of no sparse file. */
export function parsePaxSparse(records: readonly PaxRecord[]): PaxSparse | undefined {
  const last = (key: string): Buffer | undefined => records.findLast((record) => record.key === key)?.value;
  const size = last('GNU.sparse.realsize') ?? last('GNU.sparse.size');
  if (size === undefined) return undefined;
  const version = `${last('GNU.sparse.major')?.toString() ?? '0'}.${last('GNU.sparse.minor')?.toString() ?? ''}`;
  if (version === '1.0') return { size: parsePaxNumber(size), extents: undefined };
  if (!version.startsWith('0.')) throw new ArchiveError(`sparse format ${quoteName(Buffer.from(version))} is unknown`);
  const map = last('GNU.sparse.map');
  const numbers =
    map === undefined
      ? records
          .filter(({ key }) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
          .map(({ value }) => value)
      : map.length === 0
        ? []
        : map
            .toString('latin1')
            .split(',')
            .map((text) => Buffer.from(text));
  return { size: parsePaxNumber(size), extents: pairs(numbers.map(parsePaxNumber)) };
}

/** Reads the map of form 1.0: how many extents, then their numbers, a line each, in whole blocks. */
export class SparseMapParser {
  #line: number[] = [];
  readonly #numbers: number[] = [];

  /** Takes a block; returns the extents when it is the last one of the map. */
  push(block: Buffer): Extent[] | undefined {
    for (const byte of block) {
      if (byte !== NEWLINE) {
        this.#line.push(byte);
        continue;
      }
      this.#numbers.push(parsePaxNumber(Buffer.from(this.#line)));
      this.#line = [];
      const count = this.#numbers[0] ?? 0;
      boundExtents(count);
      if (this.#numbers.length === 1 + 2 * count) return pairs(this.#numbers.slice(1));
    }
    // A line is a number: one that is longer than a block is none, and must not be collected for ever.
    if (this.#line.length >= block.length) throw new ArchiveError('the sparse map is malformed');
    return undefined;
  }
}

/** Adds further extents to those that are known. Throws where they are too many. */
export function addExtents(known: Extent[], further: readonly Extent[]): Extent[] {
  boundExtents(known.length + further.length);
  known.push(...further);
  return known;
}

/** Throws unless the extents ascend, lie within the file and hold exactly the stored content. */
export function checkExtents(extents: readonly Extent[], storedSize: number, size: number): void {
  let end = 0;
  let content = 0;
  for (const { offset, length } of extents) {
    if (offset < end || offset + length > size) throw new ArchiveError('the sparse map overlaps or leaves the file');
    end = offset + length;
    content += length;
  }
  if (content !== storedSize) throw new ArchiveError('the sparse map does not match the content');
}

// Unused places are empty and come last.
function oldExtents(block: Buffer, start: number, places: number): Extent[] {
  const extents: Extent[] = [];
  for (let at = start; at < start + places * 24 && bytesField(block, at + 12, 12).length > 0; at += 24) {
    extents.push({ offset: numberField(block, at, 12), length: numberField(block, at + 12, 12) });
  }
  return extents;
}

function pairs(numbers: readonly number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw new ArchiveError('the sparse map is malformed');
  boundExtents(numbers.length / 2);
  const extents: Extent[] = [];
  for (let at = 0; at < numbers.length; at += 2) {
    extents.push({ offset: numbers[at] ?? 0, length: numbers[at + 1] ?? 0 });
  }
  return extents;
}

function boundExtents(count: number): void {
  if (count > MAX_EXTENTS) throw new ArchiveError(`the file has more than ${MAX_EXTENTS} sparse extents`);
}
