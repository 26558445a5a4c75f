// Removing a folder with everything in it: of any depth and width, and nothing outside of it.
//
// Whoever throws away a container, a layer or something half-made calls it. node's own `rm` goes by paths, which end at
// 4,096 bytes, and takes the names of all files at once; this goes by open directories, a few names at a time, and what
// may take long runs on the thread pool. Symbolic links are not followed, and where something is mounted it stops.
//
// 2013: os.RemoveAll

import { fstatSync, opendirSync } from 'node:fs';
import { lstat, rmdir, unlink } from 'node:fs/promises';
import { errorMessage } from '../util/errors.js';
import { nativeName } from './at.js';
import { DirectoryStack } from './directory-stack.js';
import { hasCode } from './libc.js';

/** How many names are removed at a time. */
const AT_ONCE = 64;
/** How much of a path an error shows, in characters. */
const SHOWN_PATH_LENGTH = 300;

/** Removes what is at `path`; nothing at all is fine. Rejects with the first name that cannot be removed, and why. */
export async function removeTree(path: string): Promise<void> {
  let isDirectory;
  try {
    isDirectory = (await lstat(path)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  const removal = new Removal(path);
  if (isDirectory) await removal.removeContent();
  await removal.remove(isDirectory ? rmdir(path) : unlink(path));
}

/** One removal: where it is, for the directories to remove and for what an error says. */
class Removal {
  readonly #path: string;
  /** the names that lead there from `#path`; a name has one character for each of its bytes (latin1) */
  readonly #way: string[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  /** Empties the directory, the innermost first. A loop, not a recursion: directories may be nested without end. */
  async removeContent(): Promise<void> {
    const stack = new DirectoryStack(this.#path);
    try {
      const { dev } = fstatSync(stack.fd);
      const levels = [await this.#removeFiles(stack.fd)]; // the directories that are still to be removed at each level
      for (;;) {
        const next = levels.at(-1)?.pop();
        if (next !== undefined) {
          this.#way.push(next);
          this.#enter(stack, next, dev);
          levels.push(await this.#removeFiles(stack.fd));
          continue;
        }
        const emptied = this.#way.at(-1);
        if (emptied === undefined) return;
        levels.pop();
        stack.leave();
        await this.remove(rmdir(pathIn(stack.fd, emptied)));
        this.#way.pop();
      }
    } finally {
      stack.close();
    }
  }

  /** Waits for one removal. What has gone by itself is done. */
  async remove(removed: Promise<void>, name?: string): Promise<void> {
    try {
      await removed;
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw this.#failure(error, name);
    }
  }

  #enter(stack: DirectoryStack, name: string, dev: number): void {
    try {
      stack.enter(nativeName(Buffer.from(name, 'latin1')));
      if (fstatSync(stack.fd).dev !== dev) throw new Error('something is mounted there');
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Removes what is in the open directory but its directories. Resolves with the names of those. */
  async #removeFiles(fd: number): Promise<string[]> {
    const directories: string[] = [];
    const failures: unknown[] = [];
    let pending: Promise<void>[] = [];
    // To its end, also after a failure: a removal on its way must not find another directory under this descriptor.
    const settle = async (): Promise<void> => {
      await Promise.all(pending);
      pending = [];
    };
    const entries = opendirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1', bufferSize: AT_ONCE });
    try {
      for (let entry = await entries.read(); entry !== null && failures.length === 0; entry = await entries.read()) {
        const { name } = entry;
        if (entry.isDirectory()) {
          directories.push(name);
          continue;
        }
        const removed = this.remove(unlink(pathIn(fd, name)), name);
        pending.push(removed.catch((error: unknown) => void failures.push(error)));
        if (pending.length === AT_ONCE) await settle();
      }
    } finally {
      entries.closeSync();
      await settle();
    }
    if (failures.length > 0) throw failures[0];
    return directories;
  }

  #failure(error: unknown, name?: string): Error {
    const names = name === undefined ? this.#way : [...this.#way, name];
    const path = [this.#path, ...names.map((each) => Buffer.from(each, 'latin1').toString())].join('/');
    const shown = path.length > SHOWN_PATH_LENGTH ? `…${path.slice(-SHOWN_PATH_LENGTH)}` : path;
    const reason = errorMessage(error).replace(/, \w+ '.*'$/s, ''); // node names the path as well, by its descriptor
    return new Error(`Cannot remove ${JSON.stringify(shown)}: ${reason}`, { cause: error });
  }
}

/** The path of a name in an open directory, in bytes. */
function pathIn(fd: number, name: string): Buffer {
  return Buffer.from(`/proc/self/fd/${fd}/${name}`, 'latin1');
}
