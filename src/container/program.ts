// Looking the program up in the container's file system before LXC is asked to run it: LXC's own complaint is five lines
// on the container's stderr, and a status that says nothing.
//
// 2013: sysinit.go, executeProgram

import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { nativeName, O_PATH, openInRoot } from '../linux/at.js';
import { hasCode } from '../linux/libc.js';

/** Where a bare name is looked for, in this order: PATH inside a container. */
export const SEARCH_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

/** Whether `name` is a file that can be executed in the tree at `rootfs`. Symbolic links are followed inside the tree. */
export function canExecute(rootfs: string, name: string): boolean {
  if (name === '' || name.includes('\0')) return false;
  const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const paths = name.includes('/') ? [name] : SEARCH_PATH.map((folder) => `${folder}/${name}`);
    return paths.some((path) => isExecutableFile(root, path));
  } finally {
    closeSync(root);
  }
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
