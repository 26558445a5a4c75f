// The data directory, and the lock that keeps it to one daemon.
//
// The lock is the kernel's own (flock) and ends with its process, however that ends; the pid in the file is only for the
// message to the second daemon.
//
// DIFFERS D31: two daemons on /var/lib/docker destroyed each other's index.
//
// 2013: nothing

import {
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { tell } from '../container/container-folder.js';
import { isThere } from '../filesystem/folders.js';
import { tryLock } from '../linux/fcntl.js';
import { hasCode } from '../linux/libc.js';
import { umount } from '../linux/mount.js';
import { removeTree } from '../linux/remove-tree.js';
import { removeTemporaries } from '../util/atomic-file.js';
import type { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { kindOf } from '../util/regular-file.js';
import { nameBeforeAside, setAside } from '../util/set-aside.js';
import { foreignNames, mountsThat } from './remove-data.js';

/** The folders of a daemon's data. */
export interface DataDirectory {
  root: string;
  images: string;
  containers: string;
  /** the file that says what was made for the network */
  network: string;
}

/** The name of the file, in the data directory, that says what was made for the network. */
export const NETWORK_RECORD = 'network.json';

/**
 * Takes away what an earlier daemon had half-made at the top of the directory when it was killed: files, and the union that
 * was to show whether a mount driver works. What cannot be taken away is told.
 */
export async function removeHalfMade({ root, images }: DataDirectory, log: (line: string) => void): Promise<void> {
  const remove = async (path: string): Promise<void> => {
    try {
      for (const mounted of mountsThat((each) => each.startsWith(`${path}/`)).reverse()) await umount(mounted, true);
      await removeTree(path);
    } catch (error) {
      log(errorMessage(error));
    }
  };
  for (const folder of [root, images]) if (isThere(folder)) await removeTemporaries(folder, remove);
}

/**
 * Sets aside what has the name of one of the folders of the directory and is none, so that it can be made anew. A link to a
 * folder is one: whose disk is full may have moved it. What is not tsdock's it only names.
 */
export async function clearFolders({ root, images, containers }: DataDirectory, damage: DamageReport): Promise<void> {
  for (const name of await foreignNames(root)) tell(damage, join(root, name), 'is not of tsdock: it is left alone');
  await clear(root, [images, containers], damage);
  if (isThere(images)) await clear(images, [join(images, 'layers'), join(images, 'overlay')], damage);
}

async function clear(folder: string, paths: readonly string[], damage: DamageReport): Promise<void> {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (paths.includes(join(folder, nameBeforeAside(entry.name) ?? ''))) tell(damage, path, 'was set aside earlier');
    if (!paths.includes(path) || entry.isDirectory() || leadsToFolder(path)) continue;
    tell(damage, await setAside(path), `was ${path}, which is ${kindOf(entry)} and no folder`);
  }
}

/** Makes the directory where it is missing and locks it for the life of this process. Rejects with the name of who has it. */
export async function lockDataDirectory(path: string): Promise<DataDirectory> {
  refuseControlCharacters(path);
  await makeFolder(path);
  const root = await realpath(path); // the kernel names open files so
  refuseControlCharacters(root);
  const lock = join(root, 'tsdock.lock');
  refuseForeignLock(root, lock);
  const fd = openSync(lock, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  if (!tryLock(fd)) {
    closeSync(fd);
    const pid = readFileSync(lock, 'latin1').trim();
    throw new Error(
      `The data directory ${root} is in use by process ${pid}: stop that daemon, or choose another directory with -g`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`, 0);
  return {
    root,
    images: join(root, 'images'),
    containers: join(root, 'containers'),
    network: join(root, NETWORK_RECORD),
  };
}

function leadsToFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // a link to nowhere, or to itself
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!hasCode(error, 'EEXIST', 'ENOTDIR')) throw error;
    throw new Error(
      `Cannot use the data directory ${JSON.stringify(path)}: it is no folder, or not in one; choose another one with -g`,
    );
  }
}

/** Only told: of two daemons that both took it out of the way, one would take away what the other had just locked. */
function refuseForeignLock(root: string, lock: string): void {
  const found = lstatSync(lock, { throwIfNoEntry: false });
  if (found === undefined || found.isFile()) return;
  throw new Error(`Cannot lock the data directory ${root}: ${lock} is ${kindOf(found)}, and no file; take it away`);
}

/** The path stands in the configuration of every container, which is lines of text. */
function refuseControlCharacters(path: string): void {
  if (!/[\x00-\x1f\x7f]/.test(path)) return;
  throw new Error(
    `Cannot use the data directory ${JSON.stringify(path)}: a control character in its path could not stand in an LXC configuration; choose another one with -g`,
  );
}
