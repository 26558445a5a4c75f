// What a directory is beside its content: owner, mode, time of change and extended attributes, carried over to another one.
//
// For directories that must look as the one that they stand for: the folders around a layer, and the root of rw.

import { constants, fstatSync, type BigIntStats } from 'node:fs';
import { AT_FDCWD, close, fchmod, fchown, futimens, nativeName, openat } from '../linux/at.js';
import { fsetxattr, lreadxattrs } from '../linux/xattr.js';
import { OVERLAY_XATTR_PREFIX } from './whiteouts.js';

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const PERMISSIONS = 0o7777n;

/** See the head of the file. */
export interface DirectoryAttributes {
  stat: BigIntStats;
  /** keys have one character a byte (latin1); what is a mount driver's own is left out */
  xattrs: ReadonlyMap<string, Buffer>;
}

/** Of the directory `path`, which is not followed. */
export function readDirectoryAttributes(path: string | Uint8Array, stat: BigIntStats): DirectoryAttributes {
  const xattrs = new Map([...lreadxattrs(path)].filter(([name]) => !name.startsWith(OVERLAY_XATTR_PREFIX)));
  return { stat, xattrs };
}

/** Gives them to an open directory. The time comes last: what is made in the directory later changes it again. */
export function setDirectoryAttributes(fd: number, { stat, xattrs }: DirectoryAttributes): void {
  fchown(fd, Number(stat.uid), Number(stat.gid));
  fchmod(fd, Number(stat.mode & PERMISSIONS));
  for (const [name, value] of xattrs) fsetxattr(fd, Buffer.from(name, 'latin1'), value);
  futimens(fd, stat.mtimeNs);
}

/** Makes the directory `to` look as `from`. */
export function copyDirectoryAttributes(from: string, to: string): void {
  const open = (path: string): number => openat(AT_FDCWD, nativeName(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const source = open(from);
  try {
    const target = open(to);
    try {
      const stat = fstatSync(source, { bigint: true });
      setDirectoryAttributes(target, readDirectoryAttributes(`/proc/self/fd/${source}/.`, stat));
    } finally {
      close(target);
    }
  } finally {
    close(source);
  }
}
