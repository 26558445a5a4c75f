// Where an open file has content, for an archive that leaves its holes out.
//
// The packer asks. Holes are left out only where they are worth it: not every reader of archives knows sparse files.
// The number of pieces is bounded as for archives that come in; of a file with more the smallest holes are written as zeros.

import { hasCode } from '../linux/libc.js';
import { seekData, seekHole } from '../linux/seek.js';
import { MAX_EXTENTS } from './sparse.js';
import type { Extent } from './tar-entry.js';

/** A file whose holes come to no more than this is written as if it had none. */
const WORTHWHILE_HOLES = 1024 * 1024;
const SMALLEST_GAP = 4096;

/**
 * The pieces of the open file that have content, up to `size`; an empty one at the end where a hole is the end. Undefined
 * where the file has no holes to speak of. Blocks, for as long as a file of very many pieces takes.
 */
export function findExtents(fd: number, size: number, maxExtents = MAX_EXTENTS): Extent[] | undefined {
  if (size <= WORTHWHILE_HOLES) return undefined;
  try {
    return extentsOf(fd, size, maxExtents);
  } catch (error) {
    if (hasCode(error, 'EINVAL')) return undefined; // a file system that cannot tell
    throw error;
  }
}

function extentsOf(fd: number, size: number, maxExtents: number): Extent[] | undefined {
  const extents = new BoundedExtents(maxExtents - 1); // one may come at the end
  let end = 0;
  while (end < size) {
    const start = seekData(fd, end) ?? size;
    if (start >= size) break;
    end = Math.min(seekHole(fd, start) ?? size, size);
    // A file that is cut off between the two calls: what is gone reads as zeros.
    if (end <= start) end = size;
    extents.add(start, end);
  }
  const content = extents.list.reduce((sum, { length }) => sum + length, 0);
  if (size - content <= WORTHWHILE_HOLES) return undefined;
  if (end < size) extents.list.push({ offset: size, length: 0 }); // else GNU tar would make the file too short
  return extents.list;
}

/** A list of pieces that never grows beyond a limit: where it would, gaps are filled, the smallest first. */
class BoundedExtents {
  readonly #limit: number;
  #smallestGap = 0;
  list: Extent[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(start: number, end: number): void {
    this.#join(start, end);
    if (this.list.length <= this.#limit) return;
    // Filling doubles from one time to the next, so that all of it is worth a few passes.
    do {
      this.#smallestGap = Math.max(this.#smallestGap * 2, SMALLEST_GAP * 2);
      const all = this.list;
      this.list = [];
      for (const { offset, length } of all) this.#join(offset, offset + length);
    } while (this.list.length > this.#limit / 2);
  }

  #join(start: number, end: number): void {
    const last = this.list.at(-1);
    if (last !== undefined && start - last.offset - last.length < this.#smallestGap) last.length = end - last.offset;
    else this.list.push({ offset: start, length: end - start });
  }
}
