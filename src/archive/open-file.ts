// Looking at names of a tree that a program may be changing at this moment: what has gone is no error, and nothing is opened
// but regular files.

import { constants, fstatSync, type BigIntStats } from 'node:fs';
import * as at from '../linux/at.js';
import { hasCode } from '../linux/libc.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/**
 * Opens a regular file, the one that has the name by now; the caller closes it. It is looked at before it is opened: merely
 * opening a device can do something to the machine, and the container may have put one there since the directory was read.
 * Undefined where none is left.
 */
export function openFile(directory: number, name: Buffer): { fd: number; stat: BigIntStats } | undefined {
  const seen = unlessGone(() => at.openat(directory, name, at.O_PATH | O_NOFOLLOW));
  if (seen === undefined) return undefined;
  try {
    const stat = fstatSync(seen, { bigint: true });
    if (!stat.isFile()) return undefined;
    return { fd: at.openat(at.AT_FDCWD, at.nativeName(`/proc/self/fd/${seen}`), O_RDONLY | O_NONBLOCK), stat };
  } finally {
    at.close(seen);
  }
}

/** What `look` sees; undefined where that has gone, or is of another kind by now. */
export function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    // EINVAL: it is no symbolic link any more.
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EINVAL')) return undefined;
    throw error;
  }
}
