// Waiting for the end of a process, whoever its parent is: a pidfd is ready when its process has ended. One that this
// process has spawned is reaped then.

import { closeSync } from 'node:fs';
import { hasCode } from './libc.js';
import { onceFilesAreLeft } from './open-files.js';
import type { Poller } from './poller.js';
import { pidfdOpen } from './process.js';
import { reap } from './spawn.js';

/** Resolves when the process has ended; at once where there is none. */
export async function processExit(poller: Poller, pid: number): Promise<void> {
  let pidfd: number;
  try {
    pidfd = await onceFilesAreLeft(() => pidfdOpen(pid));
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return;
    throw error;
  }
  try {
    await new Promise<void>((resolve) => poller.add(pidfd, () => resolve()));
  } finally {
    poller.remove(pidfd);
    closeSync(pidfd);
  }
  reap(pid);
}
