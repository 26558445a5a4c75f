// What an unpacked file gets beside its content, once that is there: owner, mode, extended attributes, time. In this order:
// a change of the owner takes setuid, setgid and capabilities away, and everything else changes the time.
//
// 2013: the tar program, which image/archive.go, Untar ran

import * as at from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { freadxattrs, fremovexattr, fsetxattr, lsetxattrAt } from '../linux/xattr.js';
import type { TarEntry } from './tar-entry.js';
import { OVERLAY_XATTR_PREFIX } from './whiteouts.js';

/** What is made in a directory gets it from there, so a directory has it only at the end. */
export const DEFAULT_ACL = Buffer.from('system.posix_acl_default');

/** A regular file that is open. */
export function finishFile(fd: number, { uid, gid, mode, mtimeNs, xattrs }: TarEntry): void {
  at.fchown(fd, uid, gid);
  at.fchmod(fd, mode);
  setXattrs(xattrs, (name, value) => fsetxattr(fd, name, value));
  at.futimens(fd, mtimeNs);
}

/** Symbolic links, devices and fifos: they are not opened. `name` ends in NUL. */
export function finishNamed(entry: TarEntry, directory: number, name: Buffer): void {
  at.fchownat(directory, name, entry.uid, entry.gid);
  if (entry.kind !== 'symlink') at.fchmodat(directory, name, entry.mode);
  setXattrs(entry.xattrs, (attribute, value) => lsetxattrAt(directory, name, attribute, value));
  at.utimensat(directory, name, entry.mtimeNs);
}

/**
 * An open directory that is made by now, or was there before with other attributes. What it gets at the very end, a default
 * ACL, is returned; all else at once: where it is too much the file system says so, and no archive fills the memory with it.
 */
export function beginDirectory(
  fd: number,
  { uid, gid, mode, xattrs }: TarEntry,
  wasThere: boolean,
): Buffer | undefined {
  at.fchown(fd, uid, gid);
  at.fchmod(fd, mode);
  if (wasThere) {
    for (const attribute of freadxattrs(fd).keys()) {
      if (!xattrs.has(attribute) && !isKept(attribute)) fremovexattr(fd, Buffer.from(attribute, 'latin1'));
    }
  }
  setXattrs(xattrs, (attribute, value) => fsetxattr(fd, attribute, value));
  const defaultAcl = xattrs.get(DEFAULT_ACL.toString());
  if (wasThere || defaultAcl !== undefined) fremovexattr(fd, DEFAULT_ACL);
  return defaultAcl;
}

/** The same directory, once all that is in it is made. */
export function finishDirectory(fd: number, mtimeNs: bigint, defaultAcl: Buffer | undefined): void {
  if (defaultAcl !== undefined)
    setXattrs(new Map([[DEFAULT_ACL.toString(), defaultAcl]]), (name, value) => fsetxattr(fd, name, value));
  at.futimens(fd, mtimeNs);
}

function setXattrs(xattrs: TarEntry['xattrs'], set: (name: Buffer, value: Buffer) => void): void {
  for (const [name, value] of xattrs) {
    if (name.startsWith(OVERLAY_XATTR_PREFIX)) continue;
    try {
      set(Buffer.from(name, 'latin1'), value);
    } catch (error) {
      // A name space that this file system or kernel does not have, such as those of other systems: tar passes over it too.
      if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    }
  }
}

/** The marks of overlay are not the archive's, and a label is on every file where the kernel keeps labels. */
function isKept(attribute: string): boolean {
  return attribute.startsWith(OVERLAY_XATTR_PREFIX) || attribute === 'security.selinux';
}
