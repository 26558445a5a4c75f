// Replacing a file so that a reader, or a power cut, finds the whole old or the whole new content.
//
// Only fsync waits for the disk, so only fsync goes to a thread: a hop there and back costs more than each of the other
// calls, and there are many of them in each start of a container.
//
// The temporary file lies in the same folder under a name that `isTemporary` recognises; what a killed daemon leaves of
// them is removed at the next start.

import { randomBytes } from 'node:crypto';
import { closeSync, fchmodSync, fsync, openSync, renameSync, writeFileSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
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

/** Replaces the file at `path`: temporary file, fsync, rename, fsync of the folder. On failure the old file stays. */
export async function writeFileAtomically(path: string, content: string, mode: number): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, temporaryName(basename(path)));
  try {
    await writeNewFile(temporary, content, mode);
    renameSync(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new Error(`Cannot write ${path}: ${errorMessage(error)}`, { cause: error });
  }
  await syncFolder(folder);
}

/** Writes a file that is not there yet, and waits until its content is on the disk. */
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

/** Makes the names in a folder durable: after a rename or a removal in it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = openSync(folder, 'r');
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
