// Writes the entries of an archive below one directory, exactly: owners, modes, times to the nanosecond, links, devices, extended
// attributes and holes. Later entries replace earlier ones, but a directory over a directory keeps what is in it.
//
// The unpack worker owns an `Unpacker` and closes it on every way out. All calls block. Files named `.wh.…` are written as
// they come: that is how whiteouts look in a layer at rest.
//
// The rule that must hold: nothing is written outside the directory. Parents are opened by `LayerDirectories`, and what stands
// at the last component is never followed: it is removed first, and the new thing is made where nothing is.
//
// 2013: image/archive.go, Untar (which ran the tar program)

import { constants, fstatSync, ftruncateSync, lstatSync, readdirSync, writeSync, type BigIntStats } from 'node:fs';
import * as at from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { fsetxattr, lsetxattrAt } from '../linux/xattr.js';
import { ArchiveError, explain, quoteName, reason } from './archive-error.js';
import { LayerDirectories, OPEN_DIRECTORY, placeOf, relativePath } from './layer-directories.js';
import type { TarEntry, TarSink } from './tar-entry.js';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } = constants;
const MAX_ID = 0xfffffffe; // one more means "leave it" to chown(2)
const FILE_TYPES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO };

// What a directory gets at the very end: what is made in it would change its time, and a default ACL would pass on to that.
interface DirectoryFinish {
  inode: bigint;
  mtimeNs: bigint;
  xattrs: TarEntry['xattrs'];
}

/** A sink for `TarReader`. After the last entry call `end`, and `close` in any case. */
export class Unpacker implements TarSink {
  readonly #directories: LayerDirectories;
  readonly #finishes = new Map<string, DirectoryFinish>();
  #entry: TarEntry | undefined;
  #file: number | undefined; // the one being written

  /** Begins in `directory`, made if only its last component is missing; it gets mode 0755 and owner root until the archive says otherwise. */
  constructor(directory: string) {
    this.#directories = new LayerDirectories(directory);
    try {
      at.fchown(this.#directories.root, 0, 0);
      at.fchmod(this.#directories.root, 0o755);
    } catch (error) {
      this.close(); // who gets no unpacker cannot close it
      throw error;
    }
  }

  begin(entry: TarEntry): void {
    this.#entry = entry;
    try {
      this.#make(entry, relativePath(entry.name));
    } catch (error) {
      throw this.#failure(error);
    }
  }

  write(data: Buffer, position: number): void {
    if (this.#file === undefined) return; // content of something that has none, such as a directory
    try {
      for (let done = 0; done < data.length;) {
        done += writeSync(this.#file, data, done, data.length - done, position + done);
      }
    } catch (error) {
      throw this.#failure(error);
    }
  }

  finish(): void {
    if (this.#file === undefined || this.#entry === undefined) return;
    const { uid, gid, mode, extents, size, mtimeNs, xattrs } = this.#entry;
    try {
      if (extents !== undefined) ftruncateSync(this.#file, size); // a hole at the end
      // chown takes setuid, setgid and capabilities away, so it comes first; a write would change the time.
      at.fchown(this.#file, uid, gid);
      at.fchmod(this.#file, mode);
      setXattrs(xattrs, (name, value) => fsetxattr(this.#file ?? -1, name, value));
      at.futimens(this.#file, mtimeNs);
      this.#closeFile();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Sets what has to be set last: times and attributes of directories. */
  end(): void {
    for (const [path, finish] of this.#finishes) {
      explain(`Cannot unpack ${quoteName(Buffer.from(path, 'latin1'))}`, () => this.#finishDirectory(path, finish));
    }
  }

  /** Closes all descriptors. */
  close(): void {
    this.#closeFile();
    this.#directories.close();
  }

  #make(entry: TarEntry, path: string): void {
    if (entry.uid > MAX_ID || entry.gid > MAX_ID || entry.uid < 0 || entry.gid < 0) {
      throw new ArchiveError(`owner ${entry.uid}:${entry.gid} is out of range`);
    }
    if (entry.kind === 'directory') {
      this.#makeDirectory(entry, path);
      return;
    }
    if (path === '') throw new ArchiveError('the name is that of the layer itself');
    switch (entry.kind) {
      case 'file':
        this.#file = this.#replace(path, (directory, name) =>
          at.openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600),
        );
        break;
      case 'hardlink':
        this.#link(entry, path);
        break;
      case 'symlink': {
        const target = at.nativeName(entry.linkName);
        this.#replace(path, (directory, name) => {
          at.symlinkat(target, directory, name);
          finishNamed(entry, directory, name);
        });
        break;
      }
      default: {
        const mode = FILE_TYPES[entry.kind] | 0o600;
        this.#replace(path, (directory, name) => {
          at.mknodat(directory, name, mode, entry.deviceMajor, entry.deviceMinor);
          finishNamed(entry, directory, name);
        });
      }
    }
  }

  #makeDirectory(entry: TarEntry, path: string): void {
    if (path !== '') {
      this.#replace(path, (directory, name) => {
        try {
          at.mkdirat(directory, name, 0o700);
        } catch (error) {
          if (!hasCode(error, 'EEXIST') || !lstatAt(directory, name).isDirectory()) throw error;
        }
      });
    }
    const fd = this.#directories.open(path, false);
    at.fchown(fd, entry.uid, entry.gid);
    at.fchmod(fd, entry.mode);
    const { mtimeNs, xattrs } = entry;
    this.#finishes.set(path, { inode: fstatSync(fd, { bigint: true }).ino, mtimeNs, xattrs });
  }

  #finishDirectory(path: string, { inode, mtimeNs, xattrs }: DirectoryFinish): void {
    const { parent, name } = path === '' ? { parent: '', name: at.nativeName('.') } : placeOf(path);
    let fd: number;
    try {
      fd = at.openat(this.#directories.open(parent, false), name, OPEN_DIRECTORY);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return; // a later entry replaced it
      throw error;
    }
    try {
      if (fstatSync(fd, { bigint: true }).ino !== inode) return; // the same
      setXattrs(xattrs, (attribute, value) => fsetxattr(fd, attribute, value));
      at.futimens(fd, mtimeNs);
    } finally {
      at.close(fd);
    }
  }

  // Owner, mode and times are those of the file that both names stand for, and are not set again.
  #link(entry: TarEntry, path: string): void {
    const target = relativePath(entry.linkName);
    if (target === '') throw new ArchiveError('a hard link to the layer itself');
    this.#replace(path, (directory, name) =>
      explain(`hard link to ${quoteName(entry.linkName)}`, () => {
        const existing = placeOf(target);
        const from = this.#directories.open(existing.parent, false);
        try {
          at.linkat(from, existing.name, directory, name);
        } catch (error) {
          // A link to itself must not remove the file. So it is where the two names lead to one file already.
          if (!hasCode(error, 'EEXIST') || !isSame(lstatAt(from, existing.name), lstatAt(directory, name))) throw error;
        }
      }),
    );
  }

  // Does `make`; where something stands there already, removes that and does it again.
  #replace<T>(path: string, make: (directory: number, name: Buffer) => T): T {
    const { parent, name } = placeOf(path);
    const directory = this.#directories.open(parent, true);
    try {
      return make(directory, name);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    remove(directory, name);
    this.#directories.forget(); // what was removed may have been a link on the way to a directory that is kept open
    return make(this.#directories.open(parent, true), name);
  }

  #closeFile(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) at.close(file);
  }

  #failure(error: unknown): ArchiveError {
    return new ArchiveError(`Cannot unpack ${quoteName(this.#entry?.name ?? Buffer.of())}: ${reason(error)}`, error);
  }
}

// Symbolic links, devices and fifos: they are not opened.
function finishNamed(entry: TarEntry, directory: number, name: Buffer): void {
  at.fchownat(directory, name, entry.uid, entry.gid);
  if (entry.kind !== 'symlink') at.fchmodat(directory, name, entry.mode);
  setXattrs(entry.xattrs, (attribute, value) => lsetxattrAt(directory, name, attribute, value));
  at.utimensat(directory, name, entry.mtimeNs);
}

function setXattrs(xattrs: TarEntry['xattrs'], set: (name: Buffer, value: Buffer) => void): void {
  for (const [name, value] of xattrs) {
    try {
      set(Buffer.from(name, 'latin1'), value);
    } catch (error) {
      // A name space that this file system or kernel does not have, such as those of other systems: tar passes over it too.
      if (!hasCode(error, 'ENOTSUP', 'EOPNOTSUPP')) throw error;
    }
  }
}

// Removes whatever has the name, a directory with all that is in it, without following a link.
function remove(directory: number, name: Buffer): void {
  try {
    at.unlinkat(directory, name);
    return;
  } catch (error) {
    if (!hasCode(error, 'EISDIR')) throw error;
  }
  const fd = at.openat(directory, name, OPEN_DIRECTORY);
  try {
    for (const child of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'buffer' })) remove(fd, at.nativeName(child));
  } finally {
    at.close(fd);
  }
  at.unlinkat(directory, name, at.AT_REMOVEDIR);
}

function lstatAt(directory: number, name: Buffer): BigIntStats {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name.subarray(0, -1)]);
  return lstatSync(path, { bigint: true });
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}
