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
import { tryLock } from '../linux/fcntl.js';

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

/** Makes the directory where it is missing and locks it for the life of this process. Rejects with the name of who has it. */
export async function lockDataDirectory(path: string): Promise<DataDirectory> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const root = await realpath(path); // the kernel names open files so
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
