// fcntl(2) and flock(2): flags of open descriptors, and the lock that keeps a data directory to one daemon.

import { bind, hasCode } from './libc.js';

const LOCK_EX_NB = 2 | 4;

const fcntlNative = bind('int fcntl(int fd, int cmd, int arg)');
const flockNative = bind('int flock(int fd, int operation)');

/** fcntl(fd, command, value) for the commands that take a number. */
export function fcntlSetFlags(fd: number, command: number, value: number): number {
  return fcntlNative({ path: `descriptor ${fd}` }, fd, command, value);
}

/** Takes the exclusive lock of an open file. False where another process has it. It ends with the descriptor. */
export function tryLock(fd: number): boolean {
  try {
    flockNative({}, fd, LOCK_EX_NB);
    return true;
  } catch (error) {
    if (hasCode(error, 'EAGAIN')) return false;
    throw error;
  }
}
