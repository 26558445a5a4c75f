// What an unpacked file gets beside its content, once that is there: owner, mode, extended attributes, time. In this order:
// a change of the owner takes setuid, setgid and capabilities away, and everything else changes the time.
//
// 2013: the tar program, which image/archive.go, Untar ran

import * as at from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { freadxattrs, fremovexattr, fsetxattr, lsetxattrAt } from '../linux/xattr.js';
import type { TarEntry } from './tar-entry.js';
import { OVERLAY_XATTR_PREFIX } from './whiteouts.js';

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

/** An open directory, whose owner and mode are right: it may have been there before, with other attributes. */
export function finishDirectory(fd: number, { mtimeNs, xattrs }: Pick<TarEntry, 'mtimeNs' | 'xattrs'>): void {
  for (const attribute of freadxattrs(fd).keys()) {
    if (!xattrs.has(attribute) && !isKept(attribute)) fremovexattr(fd, Buffer.from(attribute, 'latin1'));
  }
  setXattrs(xattrs, (attribute, value) => fsetxattr(fd, attribute, value));
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
