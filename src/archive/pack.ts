// Reads a tree on disk as a tar archive, into whatever buffers it is given.
//
// The pack worker asks, and other workers that copy trees. Memory is bounded: content goes from the file straight into the
// buffer; what is kept is the way down to where we are, and the first names of files that have several.
//
// The rules that must hold: the bytes depend on the content of the tree alone, never on where or when it was written to disk. And
// nothing outside the tree is read, nor anything opened but regular files, whatever a running container does to its tree meanwhile:
// what vanishes is left out, what shrinks is filled up with zeros, what grows is cut off.
//
// 2013: utils.go, Tar (which ran the tar program)

import { readSync, readlinkSync, type BigIntStats } from 'node:fs';
import * as at from '../linux/at.js';
import { freadxattrs, lreadxattrs } from '../linux/xattr.js';
import { ArchiveError, quoteName, reason } from './archive-error.js';
import { findExtents } from './find-holes.js';
import { openFile, unlessGone } from './open-file.js';
import type { EntryKind, TarEntry } from './tar-entry.js';
import { entryHeader, paddingOf, storedSize, trailerOf } from './tar-writer.js';
import { childPath, walkTree, type TreeForm, type WalkedEntry } from './walk-tree.js';
import { OPAQUE_MARKER, OVERLAY_XATTR_PREFIX, WHITEOUT_PREFIX } from './whiteouts.js';

const NOTHING = Buffer.alloc(0);
const NO_XATTRS: ReadonlyMap<string, Buffer> = new Map();

/** What is to be packed, and how. */
export interface PackOptions {
  /** the folder whose content becomes the archive, absolute */
  root: string;
  /** how deletions stand in it; in the archive they stand as in aufs */
  form: TreeForm;
  /** paths relative to the root, one character a byte (latin1), that are left out with all that is in them */
  skip?: readonly string[];
  /** fail on a file whose name begins with `.wh.`, which would read as a deletion */
  refuseWhiteoutNames?: boolean;
  /** write deletions as character devices 0:0, so that a file with such a name is none; for copies, see `Unpacker` */
  deletionsAsDevices?: boolean;
}

/** A file with several names, of which some are still to come. */
interface Linked {
  firstName: Buffer;
  namesLeft: bigint;
}

/** Fill buffers with `fill` until it returns 0, and `close` in any case. After an error the packer is of no use. */
export class Packer {
  readonly #options: PackOptions;
  readonly #entries: Iterable<WalkedEntry>;
  readonly #bytes: Generator<void, void, void>;
  readonly #linked = new Map<string, Linked>();
  #current = ''; // the path of the entry, for messages
  #buffer: Uint8Array = NOTHING;
  #filled = 0;
  #total = 0; // bytes of buffers before this one

  /** `entries` are packed where they are given, in place of all that the options let through. */
  constructor(options: PackOptions, entries: Iterable<WalkedEntry> = walk(options)) {
    this.#options = options;
    this.#entries = entries;
    this.#bytes = this.#archive();
  }

  /** Fills `buffer`, which is not empty, with what comes next. Returns how many bytes: fewer only at the end, 0 after it. Blocks. */
  fill(buffer: Uint8Array): number {
    this.#buffer = buffer;
    this.#filled = 0;
    try {
      this.#bytes.next();
    } catch (error) {
      const name = this.#current === '' ? this.#options.root : Buffer.from(this.#current, 'latin1');
      throw new ArchiveError(`Cannot pack ${quoteName(Buffer.from(name))}: ${reason(error)}`, error);
    } finally {
      this.#buffer = NOTHING; // it is the caller's again
    }
    this.#total += this.#filled;
    return this.#filled;
  }

  /** Closes all descriptors. */
  close(): void {
    this.#bytes.return();
  }

  // Everything below is one generator that waits, wherever it is, while the buffer is full.
  *#archive(): Generator<void, void, void> {
    for (const entry of this.#entries) {
      this.#current = entry.path;
      yield* this.#entry(entry);
    }
    yield* this.#zeros(trailerOf(this.#total + this.#filled));
  }

  *#entry(walked: WalkedEntry): Generator<void, void, void> {
    const { kind, path } = walked;
    switch (kind) {
      case 'whiteout':
      case 'opaque':
        yield* this.#put(entryHeader(deletion(kind, path, this.#options.deletionsAsDevices === true)));
        break;
      case 'socket': // no archive can hold one, and without its program it is of no use
        break;
      case 'file':
        this.#refuseWhiteoutName(path);
        yield* this.#file(walked);
        break;
      default: {
        this.#refuseWhiteoutName(path);
        const stat = unlessGone(() => walked.stat);
        if (stat === undefined) break;
        const isLink = kind !== 'directory' && stat.nlink > 1n;
        const header = (isLink ? this.#laterName(path, stat) : undefined) ?? describeUnopened(kind, walked);
        if (header === undefined) break;
        yield* this.#put(entryHeader(header));
        if (isLink) this.#keepName(path, stat);
      }
    }
  }

  *#file({ path, directory, name }: WalkedEntry): Generator<void, void, void> {
    const opened = openFile(directory, name);
    if (opened === undefined) return;
    const { fd, stat } = opened;
    try {
      const later = stat.nlink > 1n ? this.#laterName(path, stat) : undefined;
      if (later !== undefined) {
        yield* this.#put(entryHeader(later));
      } else {
        const size = Number(stat.size);
        const xattrs = packedXattrs(freadxattrs(fd));
        const entry = describe('file', path, stat, { size, xattrs, extents: findExtents(fd, size) });
        yield* this.#put(entryHeader(entry));
        for (const { offset, length } of entry.extents ?? [{ offset: 0, length: size }]) {
          yield* this.#content(fd, offset, length);
        }
        yield* this.#zeros(paddingOf(storedSize(entry)));
      }
      if (stat.nlink > 1n) this.#keepName(path, stat);
    } finally {
      at.close(fd);
    }
  }

  *#content(fd: number, offset: number, length: number): Generator<void, void, void> {
    for (let done = 0; done < length;) {
      if (this.#filled === this.#buffer.length) yield;
      const room = Math.min(this.#buffer.length - this.#filled, length - done);
      const read = readSync(fd, this.#buffer, this.#filled, room, offset + done);
      if (read === 0) {
        yield* this.#zeros(length - done);
        return;
      }
      this.#filled += read;
      done += read;
    }
  }

  *#put(bytes: Buffer): Generator<void, void, void> {
    for (let done = 0; done < bytes.length;) {
      if (this.#filled === this.#buffer.length) yield;
      const part = bytes.subarray(done, done + this.#buffer.length - this.#filled);
      this.#buffer.set(part, this.#filled);
      this.#filled += part.length;
      done += part.length;
    }
  }

  *#zeros(count: number): Generator<void, void, void> {
    for (let left = count; left > 0;) {
      if (this.#filled === this.#buffer.length) yield;
      const end = Math.min(this.#buffer.length, this.#filled + left);
      this.#buffer.fill(0, this.#filled, end);
      left -= end - this.#filled;
      this.#filled = end;
    }
  }

  #refuseWhiteoutName(path: string): void {
    const isWhiteoutName = path.startsWith(WHITEOUT_PREFIX, path.lastIndexOf('/') + 1);
    if (isWhiteoutName && this.#options.refuseWhiteoutNames === true) {
      throw new ArchiveError(`a name that begins with "${WHITEOUT_PREFIX}" stands for a deletion in a layer`);
    }
  }

  // The entry of a second or later name of a file; undefined where it is the first one.
  #laterName(path: string, stat: BigIntStats): TarEntry | undefined {
    const linked = this.#linked.get(identity(stat));
    return linked === undefined ? undefined : describe('hardlink', path, stat, { linkName: linked.firstName });
  }

  // A file whose names have all been seen is forgotten: what is kept is bounded by what may still come.
  #keepName(path: string, stat: BigIntStats): void {
    const key = identity(stat);
    const { firstName, namesLeft } = this.#linked.get(key) ?? { firstName: nameInArchive(path), namesLeft: stat.nlink };
    if (namesLeft > 1n) this.#linked.set(key, { firstName, namesLeft: namesLeft - 1n });
    else this.#linked.delete(key);
  }
}

function walk({ root, form, skip }: PackOptions): Iterable<WalkedEntry> {
  const skipped = new Set(skip);
  return walkTree(root, form, (path) => skipped.has(path));
}

function identity({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

function nameInArchive(path: string, suffix = ''): Buffer {
  return Buffer.from(`./${path}${suffix}`, 'latin1');
}

function describe(kind: EntryKind, path: string, stat: BigIntStats, facts: Partial<TarEntry> = {}): TarEntry {
  return {
    kind,
    name: nameInArchive(path, kind === 'directory' && path !== '' ? '/' : ''),
    linkName: NOTHING,
    mode: Number(stat.mode & 0o7777n),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: 0,
    mtimeNs: stat.mtimeNs,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: NO_XATTRS,
    extents: undefined,
    ...facts,
  };
}

// Directories, symbolic links, devices and fifos. Undefined where it is gone.
function describeUnopened(
  kind: 'directory' | 'symlink' | 'character' | 'block' | 'fifo',
  { path, directory, name, stat }: WalkedEntry,
): TarEntry | undefined {
  const place = at.pathAt(directory, name);
  return unlessGone(() => {
    const xattrs = packedXattrs(lreadxattrs(place));
    if (kind === 'symlink') {
      return describe(kind, path, stat, { xattrs, linkName: readlinkSync(place, { encoding: 'buffer' }) });
    }
    if (kind === 'directory' || kind === 'fifo') return describe(kind, path, stat, { xattrs });
    const { major, minor } = at.deviceNumbers(stat.rdev);
    return describe(kind, path, stat, { xattrs, deviceMajor: major, deviceMinor: minor });
  });
}

// Nothing about it but its name says anything, so nothing else may change the archive.
function deletion(kind: 'whiteout' | 'opaque', path: string, asDevice: boolean): TarEntry {
  const slash = path.lastIndexOf('/') + 1;
  const name =
    kind === 'opaque' ? childPath(path, OPAQUE_MARKER) : path.slice(0, slash) + WHITEOUT_PREFIX + path.slice(slash);
  return {
    kind: asDevice ? 'character' : 'file',
    name: nameInArchive(name),
    linkName: NOTHING,
    mode: 0o444,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: NO_XATTRS,
    extents: undefined,
  };
}

// The mount driver's own attributes would steer the next mount.
function packedXattrs(xattrs: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Buffer> {
  if (xattrs.size === 0) return xattrs;
  return new Map([...xattrs].filter(([name]) => !name.startsWith(OVERLAY_XATTR_PREFIX)));
}
