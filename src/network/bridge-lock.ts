// The lock that keeps a bridge to one daemon: two would give the same addresses out and overwrite each other's rules.
//
// It is the kernel's own (flock) on a file that only root can open, and ends with its process, however that ends. The file is
// named after the network namespace too: the bridges of two namespaces are two bridges.
//
// DIFFERS D32: two daemons shared docker0 and its addresses.
//
// 2013: nothing

import { closeSync, constants, fstatSync, mkdirSync, openSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../linux/fcntl.js';

const FOLDER = '/run/tsdock';

/** Takes the bridge for this process. What gives it back, and takes the file away; undefined where another process has it. */
export function lockBridge(name: string): (() => void) | undefined {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  const [namespace = ''] = /\d+/.exec(readlinkSync('/proc/self/ns/net')) ?? [];
  const path = join(FOLDER, `${name}-${namespace}.lock`);
  for (;;) {
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
    if (!tryLock(fd)) {
      closeSync(fd);
      return undefined;
    }
    // Who had it may have taken the file away in between: then another one is the lock.
    if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) {
      const unlock = (): void => {
        process.off('exit', unlock);
        rmSync(path, { force: true });
        closeSync(fd);
      };
      process.once('exit', unlock); // so that only a daemon that is killed leaves the file
      return unlock;
    }
    closeSync(fd);
  }
}
