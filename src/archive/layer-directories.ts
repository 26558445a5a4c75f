// The directories of a layer that is being unpacked, opened by their names in the archive and kept open for what comes next.
//
// The unpacker asks for the parent of each entry. It owns the descriptors: `close` gives back all of them. Names are
// strings of one character a byte (latin1), relative to the layer, without empty, `.` and `..` components.
//
// The rule that must hold: every lookup goes through `openInRoot`, or follows no symbolic link at all, so none of the archive leads
// out of the layer. Whoever removes something from the layer calls `forget`, because a name may mean another directory
// afterwards.

import { constants, mkdirSync } from 'node:fs';
import {
  AT_FDCWD, close, fchmod, fchown, mkdirat, nativeName, openBeneath, openInRoot, openat,
} from '../linux/at.js'; // prettier-ignore
import { hasCode } from '../linux/libc.js';
import { ArchiveError, quoteName } from './archive-error.js';

const MAX_OPEN = 64;
const PATH_MAX = 4096; // the kernel takes no name of so many bytes
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** How a directory is opened that must be one itself, and no link to one. */
export const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

const ODD_COMPONENT = /(?:^|\/)\.{0,2}(?:\/|$)/; // empty, `.` or `..`

/** A name split into the directory that holds it and the last component. */
export interface Place {
  parent: string;
  /** ends in NUL */
  name: Buffer;
}

export class LayerDirectories {
  /** the layer itself */
  readonly root: number;
  readonly #open = new Map<string, number>(); // the one used last comes last

  /** Opens the directory of the layer, made if it is missing; its parent must be there. */
  constructor(directory: string) {
    try {
      mkdirSync(directory, 0o755);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
    }
    this.root = openat(AT_FDCWD, nativeName(directory), O_RDONLY | O_DIRECTORY);
  }

  /** The open directory `path`; with `make`, it and its parents are made where missing (0755, root). Good until the next call but one. */
  open(path: string, make: boolean): number {
    if (path === '') return this.root;
    const known = this.#open.get(path);
    this.#open.delete(path);
    const fd = known ?? (make ? (this.#find(path) ?? this.#make(path)) : this.#openByName(path));
    this.#keep(path, fd);
    return fd;
  }

  /** Closes what is kept open, but for the layer itself. */
  forget(): void {
    for (const fd of this.#open.values()) close(fd);
    this.#open.clear();
  }

  /** Closes everything. */
  close(): void {
    this.forget();
    close(this.root);
  }

  // Undefined where it is missing.
  #find(path: string): number | undefined {
    try {
      return this.#openByName(path);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  #openByName(path: string): number {
    const { parent, name } = placeOf(path);
    const directory = parent === '' ? this.root : this.#open.get(parent);
    if (directory !== undefined) {
      try {
        return openat(directory, name, OPEN_DIRECTORY);
      } catch (error) {
        if (!hasCode(error, 'ENOTDIR', 'ELOOP')) throw error; // else it may be a symbolic link
      }
    }
    if (path.length < PATH_MAX) return openInRoot(this.root, nativePath(path), O_RDONLY | O_DIRECTORY);
    return this.#openInPieces(path);
  }

  // A link that a piece begins after would be resolved from there instead of from the layer, so none is followed.
  #openInPieces(path: string): number {
    let fd: number | undefined;
    for (let start = 0; start < path.length;) {
      const slash = path.lastIndexOf('/', start + PATH_MAX - 1);
      const end = path.length - start < PATH_MAX || slash <= start ? path.length : slash;
      try {
        const next = openBeneath(fd ?? this.root, nativePath(path.slice(start, end)), O_RDONLY | O_DIRECTORY);
        if (fd !== undefined) close(fd);
        fd = next;
      } catch (error) {
        if (fd !== undefined) close(fd);
        throw error;
      }
      start = end + 1;
    }
    return fd ?? this.root;
  }

  // Goes up to the first parent that is there, then makes what is missing on the way down again.
  #make(path: string): number {
    const missing: Buffer[] = [];
    let above = path;
    let last: number | undefined; // the descriptor that is not kept
    do {
      const { parent, name } = placeOf(above);
      missing.push(name);
      above = parent;
    } while (above !== '' && !this.#open.has(above) && (last = this.#find(above)) === undefined);
    const known = this.#open.get(above) ?? this.root;
    try {
      for (const name of missing.reverse()) {
        const made = makeDirectory(last ?? known, name);
        if (last !== undefined) close(last);
        last = made;
      }
      return last ?? known;
    } catch (error) {
      if (last !== undefined) close(last);
      throw error;
    }
  }

  #keep(path: string, fd: number): void {
    const [oldest] = this.#open;
    if (this.#open.size >= MAX_OPEN && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      close(oldest[1]);
    }
    this.#open.set(path, fd);
  }
}

function makeDirectory(directory: number, name: Buffer): number {
  try {
    mkdirat(directory, name, 0o700);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    // What is there cannot be opened, or it would not have to be made.
    const quoted = quoteName(name.subarray(0, -1));
    throw new ArchiveError(`${quoted} is a symbolic link that leads nowhere in the layer`, error);
  }
  const fd = openat(directory, name, OPEN_DIRECTORY);
  try {
    fchown(fd, 0, 0);
    fchmod(fd, 0o755);
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

/** Where a relative name that is not empty belongs. */
export function placeOf(path: string): Place {
  const slash = path.lastIndexOf('/');
  return { parent: path.slice(0, Math.max(slash, 0)), name: nativePath(path.slice(slash + 1)) };
}

/** A name from an archive, relative to the layer: `/` in front, `.` and doubled slashes taken away. Throws on `..`. */
export function relativePath(name: Buffer): string {
  const text = name.toString('latin1');
  const usual = text.slice(text.startsWith('./') ? 2 : 0, text.endsWith('/') ? -1 : text.length);
  if (!ODD_COMPONENT.test(usual)) return usual; // names may be long, and thousands
  const components = text.split('/').filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw new ArchiveError('a ".." in a name could lead out of the layer');
  return components.join('/');
}

function nativePath(path: string): Buffer {
  return nativeName(Buffer.from(path, 'latin1'));
}
