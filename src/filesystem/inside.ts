// The tree of a container, held open, to read and write files in it as a program inside would: links and `..` end at its
// own root.
//
// `cat`, `write` and `ls` work through it. It owns one descriptor, of the root; who opened it closes it.
//
// DIFFERS D18: links and `..` led the original out to the host's files, and it opened the host's devices. The rule that
// must hold: whatever is in the tree, and whoever changes it meanwhile, nothing outside of it is opened, and no device or
// pipe in it either. So a name is resolved to a descriptor that opens nothing (O_PATH), that one is looked at, and the very
// same file is opened through it.
//
// 2013: filesystem.go, Filesystem.OpenFile and ReadDir

import { constants, fstatSync, readlinkSync, type Stats } from 'node:fs';
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { AT_FDCWD, close, nativeName, O_PATH, openat, openInRoot } from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { PathError } from './path-error.js';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;
/** The mode of a file that is made. */
const NEW_FILE_MODE = 0o600;
/** How many links are followed in a row, as by the kernel, and how often what changes meanwhile is looked at again. */
const MAX_TRIES = 40;
/** How much of a file is read at a time, in bytes. */
const PIECE_BYTES = 256 * 1024;

/** See the head of the file. */
export class Inside {
  readonly #root: number;
  readonly #rootfs: string;

  /** Holds the folder `rootfs` open as the root of a tree. */
  constructor(rootfs: string) {
    this.#rootfs = rootfs;
    this.#root = openat(AT_FDCWD, nativeName(rootfs), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  }

  /**
   * Opens a regular file, to read it, or to write into it without cutting it; then it is made where it is missing. The
   * caller closes it; it works on when the tree is closed. Rejects with Go's text for the same mistake.
   */
  async openFile(path: string, mode: 'read' | 'write'): Promise<InsideFile> {
    const cleaned = clean(path);
    const shown = this.#shown(cleaned);
    try {
      const found = mode === 'read' ? this.#find(cleaned) : this.#findOrMake(cleaned);
      try {
        checkRegular(fstatSync(found), mode, shown);
        // O_NONBLOCK: a program that holds a lease on the file could keep us waiting.
        const flags = (mode === 'read' ? O_RDONLY : O_WRONLY) | O_NONBLOCK;
        return new InsideFile(await open(descriptorPath(found), flags), shown);
      } finally {
        close(found);
      }
    } catch (error) {
      throw PathError.from('open', shown, error);
    }
  }

  /** The names in a folder, as latin1 (each character is a byte of the name), in the order of their bytes. */
  async readDir(path: string): Promise<string[]> {
    const cleaned = clean(path);
    const shown = this.#shown(cleaned);
    try {
      const found = this.#find(cleaned);
      try {
        if (!fstatSync(found).isDirectory()) throw new PathError('readdirent', shown, 'not a directory');
        return (await readdir(descriptorPath(found), { encoding: 'latin1' })).sort();
      } finally {
        close(found);
      }
    } catch (error) {
      throw PathError.from('open', shown, error);
    }
  }

  /** Lets the tree go. */
  close(): void {
    close(this.#root);
  }

  #find(path: string): number {
    return openInRoot(this.#root, nativeName(path), O_PATH);
  }

  /**
   * What stands at `path`, or a new file there. A link that leads nowhere is followed by hand, and the file is made where
   * it leads: if the kernel made it (O_CREAT without O_EXCL), it would open what somebody puts there in between.
   */
  #findOrMake(path: string): number {
    let bytes = Buffer.from(path).toString('latin1'); // a character a byte: the target of a link need not be UTF-8
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const name = nativeName(Buffer.from(bytes, 'latin1'));
      const found = unlessCode('ENOENT', () => openInRoot(this.#root, name, O_PATH));
      if (found !== undefined) return found;
      const made = unlessCode('EEXIST', () => openInRoot(this.#root, name, O_WRONLY | O_CREAT | O_EXCL, NEW_FILE_MODE));
      if (made !== undefined) return made;
      const target = this.#linkTarget(bytes);
      // Not normalised: what `..` in a target means depends on the links before it.
      if (target !== undefined) bytes = target.startsWith('/') ? target : `${posix.dirname(bytes)}/${target}`;
    }
    throw PathError.ofCode('open', this.#shown(path), 'ELOOP');
  }

  /** What the link at `path` holds; undefined where there is no link, or none any more. Both in latin1. */
  #linkTarget(path: string): string | undefined {
    const parent = openInRoot(this.#root, nativeName(Buffer.from(posix.dirname(path), 'latin1')), O_PATH | O_DIRECTORY);
    try {
      const link = Buffer.from(`${descriptorPath(parent)}/${posix.basename(path)}`, 'latin1');
      return unlessCode('ENOENT', () => unlessCode('EINVAL', () => readlinkSync(link, { encoding: 'latin1' })));
    } finally {
      close(parent);
    }
  }

  /** The path that an error names: as 2013 had it, but that it never leads out of the tree. */
  #shown(cleaned: string): string {
    return cleaned === '/' ? this.#rootfs : this.#rootfs + cleaned;
  }
}

/** A regular file of a container, open. Who opened it closes it. */
export class InsideFile {
  readonly #handle: FileHandle;
  readonly #shown: string;

  constructor(handle: FileHandle, shown: string) {
    this.#handle = handle;
    this.#shown = shown;
  }

  /** Its content from the start. Each piece is good until the next one is asked for. */
  async *pieces(): AsyncGenerator<Buffer, void> {
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await this.#handle.read(buffer).catch((error: unknown) => this.#fail('read', error));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  }

  /** Writes a piece behind the one before; the first at the start. */
  async write(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length;) {
      const rest = piece.subarray(at);
      const { bytesWritten } = await this.#handle.write(rest).catch((error: unknown) => this.#fail('write', error));
      at += bytesWritten;
    }
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  #fail(operation: string, error: unknown): never {
    throw PathError.from(operation, this.#shown, error);
  }
}

/** As Go's path.Clean of an absolute path: `.`, `..` and double slashes are taken out before the kernel sees it. */
function clean(path: string): string {
  const normal = posix.normalize(`/${path}`);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

function checkRegular(stats: Stats, mode: 'read' | 'write', shown: string): void {
  if (stats.isFile()) return;
  // Go opens a folder to read it, and fails only then.
  if (stats.isDirectory()) throw new PathError(mode === 'read' ? 'read' : 'open', shown, 'is a directory');
  const kind = stats.isFIFO() ? 'a named pipe' : stats.isSocket() ? 'a socket' : 'a device';
  throw new PathError('open', shown, `${kind} is not opened, only regular files are`);
}

function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

/** What `call` returns; undefined where it fails with that code. */
function unlessCode<T>(code: string, call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    if (hasCode(error, code)) return undefined;
    throw error;
  }
}
