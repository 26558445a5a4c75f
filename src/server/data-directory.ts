// The data directory, and the lock that keeps it to one daemon.
//
// The lock is the kernel's own (flock) and ends with its process, however that ends; the pid in the file is only for the
// message to the second daemon.
//
// 2013: nothing; two daemons on /var/lib/docker destroyed each other's index

import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from '../linux/fcntl.js';

/** The folders of a daemon's data. */
export interface DataDirectory {
  root: string;
  images: string;
  containers: string;
}

/** Makes the directory where it is missing and locks it for the life of this process. Rejects with the name of who has it. */
export async function lockDataDirectory(root: string): Promise<DataDirectory> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const path = join(root, 'tsdock.lock');
  const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
  if (!tryLock(fd)) {
    closeSync(fd);
    const pid = readFileSync(path, 'latin1').trim();
    throw new Error(
      `The data directory ${root} is in use by process ${pid}: stop that daemon, or choose another directory with -g`,
    );
  }
  ftruncateSync(fd);
  writeSync(fd, `${process.pid}\n`, 0);
  return { root, images: join(root, 'images'), containers: join(root, 'containers') };
}
