// A way down into a tree of directories and up again, by descriptors: no path is ever looked up a second time, so a
// program that moves or replaces directories meanwhile cannot lead the walk out of the tree, and no depth is too deep
// for a path.
//
// Owns the descriptors; `close` gives back all of them. Only so many are open at a time: of a deep way the upper part is
// closed and opened again by `..` on the way back, where it must be the directory that it was.
//
// 2013: none; filepath.Walk went by paths

import { constants, fstatSync } from 'node:fs';
import { AT_FDCWD, close, nativeName, openat } from './at.js';

const MAX_OPEN = 32;
const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
const OPEN_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
const PARENT = nativeName('..');

/** A directory on the way: open, or known by what it was when it was closed. */
type Level = { fd: number } | { fd: undefined; dev: bigint; ino: bigint };

/** See the head of the file. */
export class DirectoryStack {
  readonly #levels: Level[];
  /** the uppermost level below the root that is open; those between are closed */
  #firstOpen = 1;

  /** Begins in `root`, which may be a symbolic link to a directory. */
  constructor(root: string) {
    this.#levels = [{ fd: openat(AT_FDCWD, nativeName(root), O_RDONLY | O_DIRECTORY) }];
  }

  /** The descriptor of the directory where we are. Not the caller's to close. */
  get fd(): number {
    const fd = this.#levels.at(-1)?.fd;
    if (fd === undefined) throw new Error('Cannot walk on: the directory stack is closed');
    return fd;
  }

  /** How many directories below the root we are. */
  get depth(): number {
    return this.#levels.length - 1;
  }

  /** Goes down into a directory of this one. `name` ends in NUL. Throws, and stays, where it is no directory. */
  enter(name: Buffer): void {
    const fd = openat(this.fd, name, OPEN_DIRECTORY);
    this.#levels.push({ fd });
    if (this.#levels.length - this.#firstOpen < MAX_OPEN) return;
    const oldest = this.#levels[this.#firstOpen];
    if (oldest?.fd === undefined) return;
    const { dev, ino } = fstatSync(oldest.fd, { bigint: true });
    close(oldest.fd);
    this.#levels[this.#firstOpen++] = { fd: undefined, dev, ino };
  }

  /** Goes up again. Throws where the directory was moved elsewhere since, and it cannot be told where up is. */
  leave(): void {
    const left = this.#levels.pop();
    const depth = this.depth;
    const parent = this.#levels[depth];
    if (left?.fd === undefined || parent === undefined) throw new Error('Cannot go up: this is the root of the walk');
    try {
      if (parent.fd === undefined) {
        const fd = openat(left.fd, PARENT, OPEN_DIRECTORY);
        this.#levels[depth] = { fd };
        this.#firstOpen = depth;
        const { dev, ino } = fstatSync(fd, { bigint: true });
        if (dev !== parent.dev || ino !== parent.ino) {
          throw new Error('Cannot walk on: a directory was moved while its content was read');
        }
      }
    } finally {
      close(left.fd);
    }
  }

  /** Closes every descriptor. */
  close(): void {
    for (const { fd } of this.#levels.splice(0)) if (fd !== undefined) close(fd);
  }
}
