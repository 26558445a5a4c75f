// The data directory, and the lock that keeps it to one daemon.
//
// The lock is the kernel's own (flock) and ends with its process, however that ends; the pid in the file is only for the
// message to the second daemon.
//
// DIFFERS D31: two daemons on /var/lib/docker destroyed each other's index.
//
// 2013: nothing

import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { isThere } from '../filesystem/folders.js';
import { tryLock } from '../linux/fcntl.js';
import { umount } from '../linux/mount.js';
import { removeTree } from '../linux/remove-tree.js';
import { removeTemporaries } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { mountsThat } from './remove-data.js';

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

/** Makes the directory where it is missing and locks it for the life of this process. Rejects with the name of who has it. */
export async function lockDataDirectory(path: string): Promise<DataDirectory> {
  refuseControlCharacters(path);
  await mkdir(path, { recursive: true, mode: 0o700 });
  const root = await realpath(path); // the kernel names open files so
  refuseControlCharacters(root);
  const lock = join(root, 'tsdock.lock');
  const fd = openSync(lock, constants.O_RDWR | constants.O_CREAT, 0o600);
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

/** The path stands in the configuration of every container, which is lines of text. */
function refuseControlCharacters(path: string): void {
  if (!/[\x00-\x1f\x7f]/.test(path)) return;
  throw new Error(
    `Cannot use the data directory ${JSON.stringify(path)}: a control character in its path could not stand in an LXC configuration; choose another one with -g`,
  );
}
