// The folder rw of a container, and the form that it has: which driver wrote it, so how deletions stand in it.
//
// A file beside it names the driver. When the content is replaced as a whole (another form, or what a vfs copy has
// become), the new one is built beside it, and that file is what decides: from the moment that it names the new folder
// the new one counts, and whoever opens rw next finishes what a killed daemon left.
//
// 2013: none; rw was aufs's

import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { hasCode } from '../linux/libc.js';
import { removeTree } from '../linux/remove-tree.js';
import { syncFolder, writeFileAtomically } from '../util/atomic-file.js';
import { isThere } from './folders.js';

/** Without the file it is aufs's: an original wrote it. */
const FIRST_DRIVER = 'aufs';
const FORM_FILE = 'rw.driver';
const NEXT = 'rw.next';
const FORM_MODE = 0o644;

/** The name of the driver whose form `rw` has. Finishes a replacement that was begun. */
export async function readRwDriver(rw: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(join(dirname(rw), FORM_FILE), 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return FIRST_DRIVER;
    throw error;
  }
  const [driver = '', next] = text.trimEnd().split('\n');
  if (next !== undefined) await putInPlace(rw, driver);
  return driver;
}

/** Says whose form `rw` has. */
export async function writeRwDriver(rw: string, driver: string): Promise<void> {
  await writeFileAtomically(join(dirname(rw), FORM_FILE), `${driver}\n`, FORM_MODE);
}

/**
 * Replaces the content of `rw` by what `build` puts into an empty folder. On failure it is as it was before, or as it is to
 * be: `readRwDriver` tells, and goes on where this broke off.
 */
export async function replaceRw(rw: string, driver: string, build: (next: string) => Promise<void>): Promise<void> {
  await readRwDriver(rw); // what an earlier one has left may be all that there is of rw
  const next = join(dirname(rw), NEXT);
  await removeTree(next);
  try {
    await mkdir(next, { mode: 0o755 });
    await build(next);
  } catch (error) {
    await removeTree(next);
    throw error;
  }
  await writeFileAtomically(join(dirname(rw), FORM_FILE), `${driver}\n${NEXT}\n`, FORM_MODE);
  await putInPlace(rw, driver);
}

/** The second half of a replacement, as often as it takes. */
async function putInPlace(rw: string, driver: string): Promise<void> {
  const next = join(dirname(rw), NEXT);
  if (await isThere(next)) {
    await removeTree(rw);
    await rename(next, rw);
    await syncFolder(dirname(rw));
  }
  await writeRwDriver(rw, driver);
}
