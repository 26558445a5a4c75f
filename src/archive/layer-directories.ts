// The directories of a layer that is being unpacked, opened by their names in the archive and kept open for what comes next.
//
// The unpacker asks for the parent of each entry. It owns the descriptors: `close` gives back all of them. Names are
// strings of one character a byte (latin1), relative to the layer, without empty, `.` and `..` components.
//
// The rule that must hold: every lookup goes through `openInRoot`, so no symbolic link of the archive leads out of the layer.
// Whoever removes something from the layer calls `forget`, because a name may mean another directory afterwards.

import { constants, mkdirSync } from 'node:fs';
import { AT_FDCWD, close, fchmod, fchown, mkdirat, nativeName, openInRoot, openat } from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { ArchiveError, quoteName } from './archive-error.js';

const MAX_OPEN = 64;
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;

/** How a directory is opened that must be one itself, and no link to one. */
export const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

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
    const fd = this.#open.get(path);
    if (fd === undefined) return this.#openNew(path, make);
    this.#open.delete(path);
    this.#open.set(path, fd);
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

  #openNew(path: string, make: boolean): number {
    try {
      return this.#keep(path, openInRoot(this.root, nativePath(path), O_RDONLY | O_DIRECTORY));
    } catch (error) {
      if (!make || !hasCode(error, 'ENOENT')) throw error;
    }
    const { parent, name } = placeOf(path);
    const directory = this.open(parent, true);
    try {
      mkdirat(directory, name, 0o700);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      throw new ArchiveError(
        `${quoteName(Buffer.from(path, 'latin1'))} is a symbolic link that leads nowhere in the layer`,
        error,
      );
    }
    const fd = this.#keep(path, openat(directory, name, OPEN_DIRECTORY));
    fchown(fd, 0, 0);
    fchmod(fd, 0o755);
    return fd;
  }

  #keep(path: string, fd: number): number {
    const [oldest] = this.#open;
    if (this.#open.size >= MAX_OPEN && oldest !== undefined) {
      this.#open.delete(oldest[0]);
      close(oldest[1]);
    }
    this.#open.set(path, fd);
    return fd;
  }
}

/** Where a relative name that is not empty belongs. */
export function placeOf(path: string): Place {
  const slash = path.lastIndexOf('/');
  return { parent: path.slice(0, Math.max(slash, 0)), name: nativePath(path.slice(slash + 1)) };
}

/** A name from an archive, relative to the layer: `/` in front, `.` and doubled slashes taken away. Throws on `..`. */
export function relativePath(name: Uint8Array): string {
  const components = Buffer.from(name)
    .toString('latin1')
    .split('/')
    .filter((component) => component !== '' && component !== '.');
  if (components.includes('..')) throw new ArchiveError('a ".." in a name could lead out of the layer');
  return components.join('/');
}

function nativePath(path: string): Buffer {
  return nativeName(Buffer.from(path, 'latin1'));
}
