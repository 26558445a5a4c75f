// fallocate(2): room on the disk that a file is sure to have, though it is not that long yet.
//
// For a file that must be written when the disk has become full: LXC's log, which alone says how a container ended.
//
// 2013: none

import { closeSync, constants, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { bind, hasCode } from './libc.js';

const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;

const fallocate = bind('int fallocate(int fd, int mode, int64_t offset, int64_t length)');

/** Makes an empty file with room for `bytes`. Throws where there is none; a file system that cannot promise it is fine. */
export function createWithRoom(path: string, bytes: number, mode: number): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode);
  try {
    allocate(fd, path, KEEP_SIZE, 0, bytes);
  } finally {
    closeSync(fd);
  }
}

/** Gives back what of that room was not used. Nobody writes to the file any more. */
export function giveRoomBack(path: string, bytes: number): void {
  const fd = openSync(path, constants.O_WRONLY);
  try {
    const { size } = fstatSync(fd);
    if (size >= bytes) return;
    allocate(fd, path, PUNCH_HOLE | KEEP_SIZE, size, bytes - size);
    ftruncateSync(fd, size); // ext4 punches no hole behind the end of a file, but lets go of what is there
  } finally {
    closeSync(fd);
  }
}

function allocate(fd: number, path: string, mode: number, offset: number, length: number): void {
  try {
    fallocate({ path }, fd, mode, offset, length);
  } catch (error) {
    if (!hasCode(error, 'EOPNOTSUPP', 'ENOTSUP', 'ENOSYS')) throw error;
  }
}
