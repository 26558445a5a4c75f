// Extended attributes: file capabilities, ACLs, labels and what users keep beside their files.
//
// The archive room sets them when it unpacks a layer, and whoever packs or compares files reads them. Names and values are bytes. All calls block.
//
// 2013: none; the tar program of 2013 dropped them

import { bind, hasCode, type CallFacts } from './libc.js';
import { nativeName } from './at.js';

const native = {
  fsetxattr: bind('int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)'),
  lsetxattr: bind('int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)'),
  llistxattr: bind('long llistxattr(const char *path, void *list, size_t size)'),
  lgetxattr: bind('long lgetxattr(const char *path, const char *name, void *value, size_t size)'),
};

// The kernel's own limit, of a value as of the list of all names.
const MAX_SIZE = 64 * 1024;

/** Sets the attribute `name` of an open file or directory. */
export function fsetxattr(fd: number, name: Uint8Array, value: Uint8Array): void {
  native.fsetxattr(attributeFacts(name), fd, nativeName(name), value, value.length, 0);
}

/**
 * Sets the attribute `name` of `file`, a last component in the open directory, itself: for symbolic links and devices,
 * which cannot be opened. `file` ends in NUL.
 */
export function lsetxattrAt(directory: number, file: Buffer, name: Uint8Array, value: Uint8Array): void {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), file]);
  native.lsetxattr(attributeFacts(name), path, nativeName(name), value, value.length, 0);
}

/** The attributes of what `path` names, not followed; none where the file system has none. Keys have one character a byte (latin1). */
export function lreadxattrs(path: string | Uint8Array): Map<string, Buffer> {
  const file = nativeName(path);
  const buffer = Buffer.alloc(MAX_SIZE);
  const facts = { path: Buffer.from(path).toString() };
  const xattrs = new Map<string, Buffer>();
  try {
    const listLength = native.llistxattr(facts, file, buffer, MAX_SIZE);
    const names = buffer.toString('latin1', 0, listLength).split('\0').slice(0, -1);
    for (const name of names) {
      const length = native.lgetxattr(
        { ...facts, data: name },
        file,
        nativeName(Buffer.from(name, 'latin1')),
        buffer,
        MAX_SIZE,
      );
      xattrs.set(name, Buffer.from(buffer.subarray(0, length)));
    }
  } catch (error) {
    if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
  }
  return xattrs;
}

function attributeFacts(name: Uint8Array): CallFacts {
  return { data: Buffer.from(name).toString() };
}
