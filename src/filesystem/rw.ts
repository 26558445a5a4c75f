// The folder rw of a container, and the form that it has: which driver wrote it, so how deletions stand in it.
//
// A file beside it names the driver. When the content is replaced as a whole (another form, or what a vfs copy has
// become), the new one is built beside it, and that file is what decides: from the moment that it names the new folder
// the new one counts, and whoever opens rw next finishes what a killed daemon left.
//
// 2013: none; rw was aufs's

import { mkdirSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { copyDirectoryAttributes } from '../archive/directory-attributes.js';
import { removeTree } from '../linux/remove-tree.js';
import { syncPath, temporaryName, writeFileAtomically, writeFileUnsynced } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';
import { isThere } from './folders.js';

/** Without the file it is aufs's: an original wrote it. */
const FIRST_DRIVER = 'aufs';
/** The file beside rw. */
export const FORM_FILE = 'rw.driver';
/** The folder beside rw that is to take its place. */
export const NEXT = 'rw.next';
const FORM_MODE = 0o644;

/** The name of the driver whose form `rw` has. Finishes a replacement that was begun. */
export async function readRwDriver(rw: string): Promise<string> {
  const text = readRegularFile(join(dirname(rw), FORM_FILE));
  if (text === undefined) return FIRST_DRIVER;
  const [driver = '', next] = text.trimEnd().split('\n');
  if (next !== undefined) await putInPlace(rw, driver);
  return driver;
}

/** Says whose form `rw` has. */
export async function writeRwDriver(rw: string, driver: string): Promise<void> {
  await writeFileAtomically(join(dirname(rw), FORM_FILE), `${driver}\n`, FORM_MODE);
}

/** Makes `rw` in a folder that is nobody's as yet: at once, and not synced. `top` as of `createRw`. */
export function layOutRw(rw: string, driver: string, top: string | undefined): void {
  writeFileUnsynced(join(dirname(rw), FORM_FILE), `${driver}\n`, FORM_MODE);
  mkdirSync(rw, { mode: 0o755 });
  dressRoot(rw, top);
}

/** Makes `rw`, which is not there, over the layer `top`. It is there whole or not at all. */
export async function createRw(rw: string, driver: string, top: string | undefined): Promise<void> {
  const temporary = join(dirname(rw), temporaryName(basename(rw)));
  // First: a rw without it is taken for aufs's.
  if ((await readRwDriver(rw)) !== driver) await writeRwDriver(rw, driver);
  try {
    await mkdir(temporary, { mode: 0o755 });
    dressRoot(temporary, top);
    await rename(temporary, rw);
  } catch (error) {
    await removeTree(temporary);
    throw error;
  }
}

/** Removes what a daemon had half-built for `replaceRw` when it was killed. What counts already `readRwDriver` puts in place. */
export async function removeUnfinishedRw(rw: string): Promise<void> {
  await readRwDriver(rw);
  await removeTree(join(dirname(rw), NEXT));
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
  if (isThere(next)) {
    await removeTree(rw);
    await rename(next, rw);
    await syncPath(dirname(rw));
  }
  await writeRwDriver(rw, driver);
}

/** The root of a union looks as the uppermost branch: rw begins as the root of the image. */
function dressRoot(rw: string, top: string | undefined): void {
  if (top === undefined) return;
  try {
    copyDirectoryAttributes(top, rw);
  } catch (cause) {
    throw new Error(`Cannot make ${rw} look as ${top}: ${errorMessage(cause)}`, { cause });
  }
}
