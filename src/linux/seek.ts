// Where an open file has content and where it has holes.
//
// The archive room asks, to keep a sparse file sparse. Moves the position of the descriptor, so reads of such a
// file say where they read. All calls block.
//
// 2013: none; the tar program of 2013 was not told to look for holes

import { bind, hasCode } from './libc.js';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

const lseek = bind('int64_t lseek(int fd, int64_t offset, int whence)');

/** Where the next content at or after `offset` begins; undefined where only a hole follows, or the end. */
export function seekData(fd: number, offset: number): number | undefined {
  return seek(fd, offset, SEEK_DATA);
}

/** Where the next hole at or after `offset` begins, which is the end where none is before; undefined beyond the end. */
export function seekHole(fd: number, offset: number): number | undefined {
  return seek(fd, offset, SEEK_HOLE);
}

function seek(fd: number, offset: number, whence: number): number | undefined {
  try {
    return lseek({}, fd, offset, whence);
  } catch (error) {
    if (hasCode(error, 'ENXIO')) return undefined;
    throw error;
  }
}
