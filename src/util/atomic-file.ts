// Replacing a file so that a reader, or a power cut, finds the whole old or the whole new content.
//
// Only fsync waits for the disk, so only fsync goes to a thread: a hop there and back costs more than each of the other
// calls, and there are many of them in each start of a container.
//
// The temporary file lies in the same folder under a name that `isTemporary` recognises; what a killed daemon leaves of
// them is removed at the next start.
//
// The rule that must hold: who is told of a failure can tell what the disk has. So the folder is opened before the rename,
// and after it only fsync can fail: what was renamed is then renamed back, and a file, whose old content is gone, is told
// as a `NotSyncedError`.

import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { errorMessage } from './errors.js';

const sync = promisify(fsync);
const TEMPORARY = /^\.tmp-/;

/** A name for something half-made in the same folder as `finalName`. */
export function temporaryName(finalName: string): string {
  return `.tmp-${randomBytes(4).toString('hex')}-${finalName}`;
}

/** Whether a file or folder of this name is half-made and nobody's. */
export function isTemporary(name: string): boolean {
  return TEMPORARY.test(name);
}

/** What was asked for is in place, but may not outlive a power cut. */
export class NotSyncedError extends Error {}

/**
 * Replaces the file at `path`: temporary file, fsync, rename, fsync of the folder. On failure the old file stays, but for a
 * `NotSyncedError`.
 */
export async function writeFileAtomically(path: string, content: string, mode: number): Promise<void> {
  const temporary = join(dirname(path), temporaryName(basename(path)));
  let folder: number | undefined;
  try {
    folder = openSync(dirname(path), 'r');
    await writeNewFile(temporary, content, mode);
    renameSync(temporary, path);
  } catch (error) {
    if (folder !== undefined) closeSync(folder);
    // One that cannot be removed either is removed at the next start; the caller is told why it is there at all.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new Error(`Cannot write ${path}: ${errorMessage(error)}`, { cause: error });
  }
  try {
    await sync(folder);
  } catch (cause) {
    throw new NotSyncedError(`Cannot write ${path} for good: ${errorMessage(cause)}`, { cause });
  } finally {
    closeSync(folder);
  }
}

/**
 * Gives a file or folder another name in the same folder, where nothing has that name, for good. On failure it has the old
 * one, but for a `NotSyncedError`. What is in it is the caller's to sync before.
 */
export async function renameDurably(from: string, to: string): Promise<void> {
  const folder = openSync(dirname(to), 'r');
  try {
    await rename(from, to);
    try {
      await sync(folder);
    } catch (cause) {
      const message = `Cannot rename ${from} to ${to} for good: ${errorMessage(cause)}`;
      await rename(to, from).catch(() => {
        throw new NotSyncedError(message, { cause });
      });
      throw new Error(message, { cause });
    }
  } finally {
    closeSync(folder);
  }
}

/** Writes a file that is not there yet, and waits until its content is on the disk. Where that fails a part of it may be there. */
export async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  const file = openSync(path, 'wx', mode);
  try {
    fchmodSync(file, mode); // whatever the umask is
    writeFileSync(file, content);
    await sync(file);
  } finally {
    closeSync(file);
  }
}

/** Writes a file at once, and not for good: for what a machine that loses its memory does not need. */
export function writeFileUnsynced(path: string, content: string, mode: number): void {
  try {
    writeFileSync(path, content, { mode });
  } catch (cause) {
    throw new Error(`Cannot write ${path}: ${errorMessage(cause)}`, { cause }); // node does not name the file
  }
}

/** Replaces a file at once, and not for good: a daemon that is killed leaves the old one or the new one. */
export function replaceFileUnsynced(path: string, content: string, mode: number): void {
  const temporary = join(dirname(path), temporaryName(basename(path)));
  try {
    writeFileSync(temporary, content, { mode });
    renameSync(temporary, path);
  } catch (cause) {
    try {
      rmSync(temporary, { force: true });
    } catch {
      // as in writeFileAtomically
    }
    throw new Error(`Cannot write ${path}: ${errorMessage(cause)}`, { cause });
  }
}

/** Makes the content of a file durable, or the names in a folder: after a rename or a removal in it. */
export async function syncPath(path: string): Promise<void> {
  const handle = openSync(path, 'r');
  try {
    await sync(handle);
  } finally {
    closeSync(handle);
  }
}

/** Removes what an interrupted run left half-made in `folder`, each by `remove`. Resolves with the names. */
export async function removeTemporaries(folder: string, remove: (path: string) => Promise<void>): Promise<string[]> {
  const left = (await readdir(folder)).filter(isTemporary);
  for (const name of left) await remove(join(folder, name));
  return left;
}
