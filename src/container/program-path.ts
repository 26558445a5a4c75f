// Whether the way to a program leads through a folder that LXC mounts: /dev, /proc or /sys.
//
// LXC executes the program while descriptors of its own are still open, and folders of the host are among them. Until then
// /proc/self/fd/7/.. is a folder of the host for whoever has a name to be looked up, and /proc/self/exe is lxc-start. An
// image has many ways to give such a name: the program itself, the line `#!` of a script, a link on the way to either.
//
// The rule that must hold: no name that the kernel looks up to execute the program enters one of these folders, as it would
// be in the container, where they are mounted. Looked at before each start, while nobody changes the tree.
//
// DIFFERS D62: the program is not one of the host's files; as such root inside could write to it, and make it setuid.
//
// 2013: sysinit.go, executeProgram (which looked no further than PATH)

import { closeSync, constants, lstatSync, openSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { MOUNT_POINTS } from '../filesystem/own-mount-points.js';
import { hasCode } from '../linux/libc.js';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
/** How many links in a row the kernel follows. */
const MAX_LINKS = 40;
/** How many scripts in a row the kernel takes for each other's interpreter, and one to spare. */
const MAX_INTERPRETERS = 6;
/** How much of a file the kernel looks at for the name of its interpreter. */
const HEAD_BYTES = 256;
/** What the C library executes where the kernel does not know a file's format. */
const SHELL = '/bin/sh';

/** Whether one of `paths`, what it is a link to, or what runs it if it is a script, is found by way of a mount point. */
export function passesMountPoint(rootfs: string, paths: readonly string[]): boolean {
  return [...paths, SHELL].some((path) => isThrough(rootfs, Buffer.from(path).toString('latin1'), MAX_INTERPRETERS));
}

/** All names from here on have a character a byte (latin1), since they need not be UTF-8. */
function isThrough(rootfs: string, path: string, interpretersLeft: number): boolean {
  const found = follow(rootfs, path);
  if (found === undefined) return false;
  if (found === 'mount point') return true;
  const interpreter = interpreterOf(found);
  return interpreter !== undefined && interpretersLeft > 0 && isThrough(rootfs, interpreter, interpretersLeft - 1);
}

/** The regular file that a path leads to, by a name without links; undefined where there is none. */
function follow(rootfs: string, path: string): Buffer | 'mount point' | undefined {
  const todo = path.split('/').reverse();
  const done: string[] = [];
  let stat: Stats | undefined;
  for (let links = 0; todo.length > 0;) {
    const name = todo.pop() ?? '';
    if (name === '' || name === '.') continue;
    if (name === '..') {
      done.pop();
      stat = undefined;
      continue;
    }
    if (done.length === 0 && MOUNT_POINTS.includes(name)) return 'mount point';
    done.push(name);
    stat = statOf(pathOf(rootfs, done));
    if (stat === undefined) return undefined;
    if (!stat.isSymbolicLink()) continue;
    if (++links > MAX_LINKS) return undefined;
    const target = readlinkSync(pathOf(rootfs, done), 'latin1');
    if (target.startsWith('/')) done.length = 0;
    else done.pop();
    todo.push(...target.split('/').reverse());
  }
  return stat?.isFile() === true ? pathOf(rootfs, done) : undefined;
}

function pathOf(rootfs: string, names: readonly string[]): Buffer {
  return Buffer.concat([Buffer.from(rootfs), Buffer.from(`/${names.join('/')}`, 'latin1')]);
}

/** Undefined where nobody finds anything. */
function statOf(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (hasCode(error, 'ENOTDIR', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}

/** What the kernel executes instead of a script: the first word behind `#!`. */
function interpreterOf(file: Buffer): string | undefined {
  const head = Buffer.alloc(HEAD_BYTES);
  const fd = openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    readSync(fd, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  return /^#![ \t]*([^ \t\n\0]+)/.exec(head.toString('latin1'))?.[1];
}
