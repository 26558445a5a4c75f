// Extended attributes: file capabilities, ACLs, labels and what users keep beside their files.
//
// The archive room sets them when it unpacks a layer, and whoever packs or compares files reads them. Names and values are bytes. All calls block.
//
// 2013: none; the tar program of 2013 dropped them

import { bind, bindUnless, hasCode, type CallFacts } from './libc.js';
import { nativeName, pathAt } from './at.js';

const native = {
  fsetxattr: bind('int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)'),
  lsetxattr: bind('int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)'),
  llistxattr: bind('long llistxattr(const char *path, void *list, size_t size)'),
  lgetxattr: bind('long lgetxattr(const char *path, const char *name, void *value, size_t size)'),
  flistxattr: bind('long flistxattr(int fd, void *list, size_t size)'),
  fgetxattr: bind('long fgetxattr(int fd, const char *name, void *value, size_t size)'),
  fgetxattrIfThere: bindUnless(
    ['ENODATA', 'ENOTSUP', 'EOPNOTSUPP'],
    'long fgetxattr(int fd, const char *name, void *value, size_t size)',
  ),
  fremovexattr: bind('int fremovexattr(int fd, const char *name)'),
};

// The kernel's own limit, of a value as of the list of all names.
const MAX_SIZE = 64 * 1024;
// Of all values of one file together: some file systems keep thousands of large ones, and nobody needs that.
const MAX_TOTAL_SIZE = 1024 * 1024;
/** Enough for the attributes that are asked for one by one: flags of a letter. */
const SMALL_SIZE = 256;

/** Sets the attribute `name` of an open file or directory. */
export function fsetxattr(fd: number, name: Uint8Array, value: Uint8Array): void {
  native.fsetxattr(attributeFacts(name), fd, nativeName(name), value, value.length, 0);
}

/**
 * Sets the attribute `name` of `file`, a last component in the open directory, itself: for symbolic links and devices,
 * which cannot be opened. `file` ends in NUL.
 */
export function lsetxattrAt(directory: number, file: Buffer, name: Uint8Array, value: Uint8Array): void {
  native.lsetxattr(attributeFacts(name), nativeName(pathAt(directory, file)), nativeName(name), value, value.length, 0);
}

/**
 * The attributes of what `path` names, not followed; none where the file system has none. Keys have one character a byte
 * (latin1). Throws where they are more than 1 MiB.
 */
export function lreadxattrs(path: string | Uint8Array): Map<string, Buffer> {
  const file = nativeName(path);
  const facts = { path: Buffer.from(path).toString() };
  return readAll(
    (list, size) => native.llistxattr(facts, file, list, size),
    (name, value) => native.lgetxattr({ ...facts, ...attributeFacts(name) }, file, nativeName(name), value, MAX_SIZE),
  );
}

/** As `lreadxattrs`, of an open file or directory. */
export function freadxattrs(fd: number): Map<string, Buffer> {
  return readAll(
    (list, size) => native.flistxattr({}, fd, list, size),
    (name, value) => native.fgetxattr(attributeFacts(name), fd, nativeName(name), value, MAX_SIZE),
  );
}

/** Takes the attribute `name` from an open file or directory, if it has it. */
export function fremovexattr(fd: number, name: Uint8Array): void {
  try {
    native.fremovexattr(attributeFacts(name), fd, nativeName(name));
  } catch (error) {
    if (!hasCode(error, 'ENODATA', 'ENOTSUP', 'EOPNOTSUPP')) throw error;
  }
}

/** The attribute `name`, of at most 256 bytes, of an open file or directory; undefined where it has none of that name. */
export function freadxattr(fd: number, name: string): Buffer | undefined {
  const buffer = Buffer.allocUnsafe(SMALL_SIZE);
  const length = native.fgetxattrIfThere({ data: name }, fd, nativeName(name), buffer, buffer.length);
  return length === undefined ? undefined : buffer.subarray(0, length);
}

function readAll(
  list: (names: Buffer | null, size: number) => number,
  get: (name: Buffer, value: Buffer) => number,
): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  try {
    if (list(null, 0) === 0) return xattrs; // most files; they need no buffer
    const buffer = Buffer.allocUnsafe(MAX_SIZE);
    const names = buffer.toString('latin1', 0, list(buffer, MAX_SIZE)).split('\0').slice(0, -1);
    let total = 0;
    for (const name of names) {
      const value = unlessRemoved(() => Buffer.from(buffer.subarray(0, get(Buffer.from(name, 'latin1'), buffer))));
      if (value === undefined) continue;
      total += name.length + value.length;
      if (total > MAX_TOTAL_SIZE) throw new Error(`its extended attributes are more than ${MAX_TOTAL_SIZE} bytes`);
      xattrs.set(name, value);
    }
  } catch (error) {
    if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
  }
  return xattrs;
}

// The file may be a running container's, which takes an attribute away after it was listed.
function unlessRemoved(read: () => Buffer): Buffer | undefined {
  try {
    return read();
  } catch (error) {
    if (hasCode(error, 'ENODATA')) return undefined;
    throw error;
  }
}

function attributeFacts(name: Uint8Array): CallFacts {
  return { data: Buffer.from(name).toString() };
}
