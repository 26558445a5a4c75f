// The standard input of a program that gets none: a null device of its own.
//
// Called for each run. The host's /dev/null will not do, though nothing can be done with what it holds: whoever has a file
// open can change its mode, and root in a container is root. So the node that is opened here is a new one, and it has no
// name any more when the program gets it.
//
// DIFFERS D63: root inside cannot take the host's /dev/null away from everybody else on the machine.
//
// 2013: container.go, Container.start (os/exec opened the host's /dev/null)

import { chmodSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { AT_FDCWD, mknodat, nativeName } from '../linux/at.js';
import { hasCode } from '../linux/libc.js';
import { mkfifo } from '../linux/pipe.js';
import { temporaryName } from '../util/atomic-file.js';

const { O_RDONLY, O_RDWR, S_IFCHR } = constants;
const [MAJOR, MINOR] = [1, 3];
/** Whoever the program runs as may open its standard input again, by its name. */
const MODE = 0o666;

/** Opens one for reading. It is in `folder` for a moment. The caller closes it. */
export function openNull(folder: string): number {
  const path = join(folder, temporaryName('null'));
  let device: number | undefined;
  try {
    device = openNewNull(path);
    rmSync(path);
    return device;
  } catch (error) {
    if (device !== undefined) closeSync(device);
    rmSync(path, { force: true });
    if (hasCode(error, 'EACCES', 'EPERM')) return openEnded(folder); // the data directory is mounted nodev
    throw error;
  }
}

function openNewNull(path: string): number {
  mknodat(AT_FDCWD, nativeName(path), S_IFCHR, MAJOR, MINOR);
  chmodSync(path, MODE); // whatever the umask
  return openSync(path, O_RDONLY);
}

/** The next best: a pipe at its end. */
function openEnded(folder: string): number {
  const path = join(folder, temporaryName('null'));
  mkfifo(path, MODE);
  try {
    // A FIFO opens for one side only while another has the other side, or for both at once.
    const both = openSync(path, O_RDWR);
    try {
      return openSync(path, O_RDONLY);
    } finally {
      closeSync(both);
    }
  } finally {
    rmSync(path, { force: true });
  }
}
