// Writes the entries of an archive below one directory, exactly: owners, modes, times to the nanosecond, links, devices, extended
// attributes and holes. Later entries replace earlier ones, but a directory over a directory keeps what is in it.
//
// The unpack worker owns an `Unpacker` and closes it on every way out; so do workers that copy trees. All calls block.
//
// The rules that must hold: nothing is written outside the directory. Parents are opened by `LayerDirectories`, and what stands
// at the last component is never followed: it is removed first, and the new thing is made where nothing is. And an archive
// does not steer a mount: overlay's own marks are made of whiteouts only.
//
// 2013: image/archive.go, Untar (which ran the tar program)

import { constants, fstatSync, ftruncateSync, lstatSync, writeSync, type BigIntStats } from 'node:fs';
import * as at from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { removeAt, removeContent } from '../linux/remove-at.js';
import { fremovexattr, fsetxattr } from '../linux/xattr.js';
import { ArchiveError, explain, quoteName, reason } from './archive-error.js';
import { DirectoryList } from './directory-list.js';
import { LayerDirectories, OPEN_DIRECTORY, placeOf, relativePath } from './layer-directories.js';
import type { TarEntry, TarSink } from './tar-entry.js';
import { DEFAULT_ACL, beginDirectory, finishDirectory, finishFile, finishNamed } from './unpacked-attributes.js';
import { OVERLAY_OPAQUE, WHITEOUT_PREFIX, deletionOf, refuseDeletionOfNothing } from './whiteouts.js';

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, S_IFBLK, S_IFCHR, S_IFIFO } = constants;
const MAX_ID = 0xfffffffe; // one more means "leave it" to chown(2)
const OPAQUE = Buffer.from(OVERLAY_OPAQUE);
const FILE_TYPES = { character: S_IFCHR, block: S_IFBLK, fifo: S_IFIFO };

/**
 * What becomes of files named `.wh.…`, which stand for deletions. `keep`: they are written as they come, as in a layer at rest.
 * `apply`: what they name is removed from what is there already. `overlay`: overlay's own marks are written in their place.
 */
export type WhiteoutMode = 'keep' | 'apply' | 'overlay';

/**
 * Which entries are deletions: all with a name that begins with `.wh.`, or of these only the character devices 0:0. Copies
 * of trees that may hold such names use the latter.
 */
export type DeletionEntries = 'named' | 'devices';

// What a directory gets at the very end: what is made in it would change its time, and a default ACL would pass on to that.
interface DirectoryFinish {
  inode: bigint;
  mtimeNs: bigint;
  defaultAcl: Buffer | undefined;
}

/** A sink for `TarReader`, or for several one after the other. After the last entry call `end`, and `close` in any case. */
export class Unpacker implements TarSink {
  readonly #directories: LayerDirectories;
  readonly #whiteouts: WhiteoutMode;
  readonly #deletions: DeletionEntries;
  readonly #finishes = new DirectoryList<DirectoryFinish>();
  #hasWhiteoutNames = false;
  #entry: TarEntry | undefined;
  #file: number | undefined; // the one being written

  /** Begins in `directory`, made if only its last component is missing; it gets mode 0755 and owner root until the archive says otherwise. */
  constructor(directory: string, whiteouts: WhiteoutMode = 'keep', deletions: DeletionEntries = 'named') {
    this.#whiteouts = whiteouts;
    this.#deletions = deletions;
    this.#directories = new LayerDirectories(directory);
    try {
      explain(`Cannot unpack the archive into ${directory}`, () => {
        fremovexattr(this.#directories.root, DEFAULT_ACL); // it would be passed on to all that is made
        at.fchown(this.#directories.root, 0, 0);
        at.fchmod(this.#directories.root, 0o755);
      });
    } catch (error) {
      this.close(); // who gets no unpacker cannot close it
      throw error;
    }
  }

  /** Whether a name so far had something in it that begins with `.wh.`. */
  get hasWhiteoutNames(): boolean {
    return this.#hasWhiteoutNames;
  }

  begin(entry: TarEntry): void {
    this.#entry = entry;
    try {
      const path = relativePath(entry.name);
      if (this.#deletions === 'named') refuseDeletionOfNothing(path);
      this.#hasWhiteoutNames ||= `/${path}`.includes(`/${WHITEOUT_PREFIX}`);
      const mayDelete = this.#whiteouts !== 'keep' && (this.#deletions === 'named' || isWhiteoutDevice(entry));
      const deletion = mayDelete ? deletionOf(path, this.#deletions === 'devices') : undefined;
      if (deletion === undefined) this.#make(entry, path);
      else if (deletion.kind === 'whiteout') this.#delete(deletion.path);
      else if (deletion.kind === 'opaque') this.#empty(deletion.path);
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
    try {
      if (this.#entry.extents !== undefined) ftruncateSync(this.#file, this.#entry.size); // a hole at the end
      finishFile(this.#file, this.#entry);
      this.#closeFile();
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Sets what has to be set last: times and attributes of directories. Of a directory that came twice the last ones stay. */
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
        if (isWhiteoutDevice(entry)) throw new ArchiveError('a character device 0:0 would read as a deletion');
        const mode = FILE_TYPES[entry.kind] | 0o600;
        this.#replace(path, (directory, name) => {
          at.mknodat(directory, name, mode, entry.deviceMajor, entry.deviceMinor);
          finishNamed(entry, directory, name);
        });
      }
    }
  }

  #makeDirectory(entry: TarEntry, path: string): void {
    const there = { isDirectory: path === '', isWhiteout: false };
    if (path !== '') {
      this.#replace(path, (directory, name) => {
        try {
          at.mkdirat(directory, name, 0o700);
        } catch (error) {
          if (!hasCode(error, 'EEXIST')) throw error;
          const stat = lstatAt(directory, name);
          there.isDirectory = stat.isDirectory();
          there.isWhiteout = this.#whiteouts === 'overlay' && stat.isCharacterDevice() && stat.rdev === 0n;
          if (!there.isDirectory) throw error;
        }
      });
    }
    const fd = this.#directories.open(path, false);
    const defaultAcl = beginDirectory(fd, entry, there.isDirectory);
    if (there.isWhiteout) fsetxattr(fd, OPAQUE, Buffer.from('y')); // deleted and made again: it hides what was there
    const { ino: inode } = fstatSync(fd, { bigint: true });
    this.#finishes.push(path, { inode, mtimeNs: entry.mtimeNs, defaultAcl });
  }

  #finishDirectory(path: string, { inode, mtimeNs, defaultAcl }: DirectoryFinish): void {
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
      finishDirectory(fd, mtimeNs, defaultAcl);
    } finally {
      at.close(fd);
    }
  }

  // NAME of `.wh.NAME`.
  #delete(path: string): void {
    if (this.#whiteouts === 'overlay') {
      this.#replace(path, (directory, name) => at.mknodat(directory, name, S_IFCHR));
      return;
    }
    const { parent, name } = placeOf(path);
    if (this.#openIfThere(parent) !== undefined) this.#remove(parent, name);
  }

  // The directory of `.wh..wh..opq`.
  #empty(path: string): void {
    if (this.#whiteouts === 'overlay') {
      fsetxattr(this.#directories.open(path, true), OPAQUE, Buffer.from('y'));
      return;
    }
    if (this.#openIfThere(path) === undefined) return;
    this.#directories.forget(); // as in #remove
    removeContent(this.#directories.open(path, false));
    this.#directories.forget();
  }

  // Removes what is there, and nothing where nothing is.
  #remove(parent: string, name: Buffer): void {
    // Where the innermost of 10,000 directories is open, the kernel looks at all of them again for each one that is removed.
    this.#directories.forget();
    removeAt(this.#directories.open(parent, false), name);
    this.#directories.forget(); // what was removed may have been a link on the way to a directory that is kept open
  }

  #openIfThere(path: string): number | undefined {
    try {
      return this.#directories.open(path, false);
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      throw error;
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
    this.#remove(parent, name);
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

function lstatAt(directory: number, name: Buffer): BigIntStats {
  return lstatSync(at.pathAt(directory, name), { bigint: true });
}

function isWhiteoutDevice({ kind, deviceMajor, deviceMinor }: TarEntry): boolean {
  return kind === 'character' && deviceMajor === 0 && deviceMinor === 0;
}

function isSame(one: BigIntStats, other: BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}
