// Removing a data directory with everything in it, and nothing that somebody else put there.
//
// `clean` calls it. A directory is given on a command line, so it may be any: what no daemon has used, or what holds more
// than a daemon makes, is refused as a whole.
//
// 2013: none

import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '../filesystem/folders.js';
import { hasCode } from '../linux/libc.js';
import { readMounts } from '../linux/mountinfo.js';
import { removeTree } from '../linux/remove-tree.js';
import { SECCOMP_PROFILE } from '../lxc/seccomp-profile.js';
import { errorMessage } from '../util/errors.js';
import { nameBeforeAside } from '../util/set-aside.js';

const LOCK = 'tsdock.lock';
/** By these a data directory is known: every daemon makes the first one before all else, the original the second. */
const MARKS: readonly string[] = [LOCK, 'containers'];
/** What tsdock makes in its data directory, beside what is half-made. */
const OWN_NAMES: readonly string[] = [...MARKS, 'images', 'network.json', SECCOMP_PROFILE];
const HALF_MADE = '.tmp-';
/** In a directory that has a file system of its own; mkfs made it. */
const LOST_AND_FOUND = 'lost+found';

/** Whether a daemon has used the directory. */
export async function isDataDirectory(root: string): Promise<boolean> {
  const names = await namesIn(root);
  return MARKS.some((name) => names.includes(name));
}

/** What lies in the directory and is not tsdock's. */
export async function foreignNames(root: string): Promise<string[]> {
  const isOwn = (name: string): boolean => OWN_NAMES.includes(nameBeforeAside(name) ?? name);
  return (await contentOf(root)).filter((name) => !isOwn(name) && !name.startsWith(HALF_MADE));
}

/** Rejects where the directory holds anything that is not tsdock's: it would be lost with it. Nothing at all is fine. */
export async function refuseForeignData(root: string): Promise<void> {
  const names = await contentOf(root);
  if (names.length === 0) return;
  const refuse = (why: string): never => {
    throw new Error(`Cannot remove the data directory "${root}": ${why}`);
  };
  if (!(await isDataDirectory(root))) refuse('no daemon has ever used it');
  const [foreign] = await foreignNames(root);
  if (foreign !== undefined) refuse(`it holds "${foreign}", which is not tsdock's: move that away first`);
  const [mounted] = mountsThat((path) => path.startsWith(`${root}/`) && !isContainerMount(root, path));
  if (mounted !== undefined) refuse(`"${mounted}" is a mount that is not tsdock's: unmount that first`);
}

/**
 * Removes everything in the directory, the lock last: as long as it is there no daemon starts. Then the directory, unless a
 * file system is mounted there. `root` has no symbolic links, and those inside are not followed.
 */
export async function removeData(root: string, took: (line: string) => void): Promise<void> {
  await refuseForeignData(root);
  // One more look: what is mounted in there now would be emptied, where it is of the same file system.
  const [mounted] = mountsThat((path) => path.startsWith(`${root}/`));
  if (mounted !== undefined) throw new Error(`Cannot remove "${root}": something is mounted at ${mounted}`);
  const names = await contentOf(root);
  for (const name of names) if (name !== LOCK) await removeTree(join(root, name));
  if (names.includes(LOCK)) await unlink(join(root, LOCK));
  if (isMountPoint(root)) {
    if (names.length > 0) took(`removed everything in ${root}, which is a mount point`);
    return;
  }
  try {
    await rmdir(root);
    took(`removed ${root}`);
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'ENOTDIR')) throw error; // a link that leads nowhere is no directory
  }
}

/** Removes the link by whose name a directory was known that has gone. */
export async function removeLink(path: string, took: (line: string) => void): Promise<void> {
  try {
    if (!(await lstat(path)).isSymbolicLink() || isThere(path)) return;
    await unlink(path);
    took(`removed ${path}`);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // it led through a link
  }
}

/** Whether a container, or the search for a driver, has mounted it; what a person has mounted in there goes with it. */
export function isContainerMount(root: string, path: string): boolean {
  return path.startsWith(`${root}/containers/`) || path.startsWith(`${root}/${HALF_MADE}`);
}

/** The mount points that `isWanted` says so of, in the order in which they were made. */
export function mountsThat(isWanted: (path: string) => boolean): string[] {
  return readMounts().flatMap(({ path }) => (isWanted(path) ? [path] : []));
}

/** The names in a folder; none where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return [];
    throw new Error(`Cannot read "${folder}": ${errorMessage(error)}`, { cause: error });
  }
}

async function contentOf(root: string): Promise<string[]> {
  const names = await namesIn(root);
  if (!names.includes(LOST_AND_FOUND) || !isMountPoint(root)) return names;
  return names.filter((name) => name !== LOST_AND_FOUND);
}

function isMountPoint(root: string): boolean {
  return mountsThat((path) => path === root).length > 0;
}
