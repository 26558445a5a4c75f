// Replacing a file so that a reader, or a power cut, finds the whole old or the whole new content.
//
// The temporary file lies in the same folder under a name that `isTemporary` recognises; what a killed daemon leaves of
// them is removed at the next start.

import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errorMessage } from './errors.js';

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
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new Error(`Cannot write ${path}: ${errorMessage(error)}`, { cause: error });
  }
  await syncFolder(folder);
}

/** Writes a file that is not there yet, and waits until its content is on the disk. */
export async function writeNewFile(path: string, content: string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.chmod(mode); // whatever the umask is
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes the names in a folder durable: after a rename or a removal in it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Removes what an interrupted run left half-made in `folder`, each by `remove`. Resolves with the names. */
export async function removeTemporaries(folder: string, remove: (path: string) => Promise<void>): Promise<string[]> {
  const left = (await readdir(folder)).filter(isTemporary);
  for (const name of left) await remove(join(folder, name));
  return left;
}
