// Looking up, in the container's file system, the program and whom it is to run as, before LXC is asked to run it: LXC's own
// complaint is five lines on the container's stderr, and a status that says nothing.
//
// 2013: sysinit.go, SysInit and executeProgram

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { Filesystem } from '../filesystem/filesystem.js';
import { nativeName, O_PATH, openInRoot } from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { passesMountPoint } from './program-path.js';
import { findUser, ROOT, type User } from './user.js';

/** The program was not found or cannot be executed. */
const STATUS_NOT_FOUND = 127;
/** Whom it is to run as was not found. */
const STATUS_NO_USER = 1;

/** Whom a program runs as; or why there is nothing to run, in the words of 2013, and the status that the run has then. */
export type LookedUp = { user: User } | { complaint: string; exitCode: number };

/** Looks in the tree of `filesystem`, which is mounted. `userName`: a uid or a name, empty for root. 2013: SysInit */
export async function lookUpProgram(filesystem: Filesystem, userName: string, path: string): Promise<LookedUp> {
  const user = userName === '' ? ROOT : await filesystem.inside((tree) => findUser(tree, userName));
  if (user === undefined) {
    const complaint = `Unable to find user ${userName}: user: unknown user ${userName}`;
    return { complaint, exitCode: STATUS_NO_USER };
  }
  const { rootfs } = filesystem;
  if (canExecute(rootfs, path) && !passesMountPoint(rootfs, candidates(path))) return { user };
  return { complaint: `Unable to locate ${path}`, exitCode: STATUS_NOT_FOUND };
}

/** Where a bare name is looked for, in this order: PATH inside a container. */
export const SEARCH_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Whether `name` is a file that can be executed in the tree at `rootfs`. Symbolic links are followed inside the tree. */
export function canExecute(rootfs: string, name: string): boolean {
  if (name === '' || name.includes('\0')) return false;
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return candidates(name).some((path) => isExecutableFile(root, path));
  } finally {
    closeSync(root);
  }
}

function candidates(name: string): string[] {
  return name.includes('/') ? [name] : SEARCH_PATH.map((folder) => `${folder}/${name}`);
}

function isExecutableFile(root: number, path: string): boolean {
  let fd;
  try {
    fd = openInRoot(root, nativeName(path), O_PATH);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'ENAMETOOLONG')) return false;
    throw error;
  }
  try {
    const stat = fstatSync(fd);
    return stat.isFile() && (stat.mode & 0o111) !== 0;
  } finally {
    closeSync(fd);
  }
}
