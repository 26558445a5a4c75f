// What may be left of containers when nobody minds them any more: their lxc-starts, holders, cgroups, mounts, and the files
// that LXC locks. Found by the names that they carry, whatever config.json says.
//
// `clean` calls it, for what the containers themselves did not give back. Each function takes away one kind of thing and
// tells `took` of each, in a line; none of them minds that there is nothing.
//
// 2013: none

import { rmdir } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Holder } from '../container/holder.js';
import { isThere } from '../filesystem/folders.js';
import { hasCode } from '../linux/libc.js';
import { umount } from '../linux/mount.js';
import type { Poller } from '../linux/poller.js';
import { processExit } from '../linux/process-exit.js';
import { pidfdSendSignal, processStartTicks, withPidfd } from '../linux/process.js';
import { removeTree } from '../linux/remove-tree.js';
import { endCgroups, findCgroups } from '../lxc/cgroups.js';
import { containerInit, signalContainer, waitForProgram } from '../lxc/container-init.js';
import { Freezer } from '../lxc/freezer.js';
import { findLxcStarts, type ProcessId } from '../lxc/lxc-start.js';

/** Told, in a line, of each thing that was taken away. */
export type Took = (line: string) => void;

/** How long a killed program may take to be gone before LXC itself is ended. */
const KILL_TIMEOUT_MS = 2_000;
/** How long what was killed may take to be gone. */
const END_TIMEOUT_MS = 10_000;
const POLL_MS = 5;
/** Where versions of LXC have a file to lock for each container, below the name of its folder. */
const LOCK_FOLDERS = ['/run/lxc/lock', '/run/lock/lxc'];

/** Kills all containers whose folder is below `containersPath` by their lxc-starts. Rejects where one does not end. */
export async function endLxcStarts(poller: Poller, containersPath: string, took: Took): Promise<void> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  // Again and again: one that is killed may leave the forked one that was to become the program.
  for (let found = findLxcStarts(containersPath); found.size > 0; found = findLxcStarts(containersPath)) {
    if (performance.now() > deadline)
      throw new Error(`Cannot end what runs in "${containersPath}": there is always more`);
    const ended = [...found].map(async ([id, process]) => {
      await endLxcStart(poller, id, process);
      took(`ended container ${id}, lxc-start ${process.pid}`);
    });
    const failed = (await Promise.allSettled(ended)).find(({ status }) => status === 'rejected');
    if (failed !== undefined) await Promise.all(ended); // rejects with the first reason
  }
}

/** By its program, as lxc-start then cleans up and logs the status; else lxc-start itself. */
async function endLxcStart(poller: Poller, id: string, { pid, startTicks }: ProcessId): Promise<void> {
  const init = containerInit(pid);
  if (init !== undefined) Freezer.of(id, init)?.thaw();
  await waitForProgram(pid, KILL_TIMEOUT_MS);
  signalContainer(pid, 'SIGKILL', false);
  if (await hasEnded(poller, pid, KILL_TIMEOUT_MS)) return;
  withPidfd(pid, (pidfd) => processStartTicks(pid) === startTicks && pidfdSendSignal(pidfd, 'SIGKILL'));
  if (await hasEnded(poller, pid, END_TIMEOUT_MS)) return;
  throw new Error(`Cannot end container ${id}: its lxc-start ${pid} does not end`);
}

async function hasEnded(poller: Poller, pid: number, timeoutMs: number): Promise<boolean> {
  const ended = processExit(poller, pid).then(() => true);
  return Promise.race([ended, sleep(timeoutMs, false, { ref: false })]);
}

/** Ends the holders of all streams below `containersPath`, a path without symbolic links. */
export async function endHolders(containersPath: string, took: Took): Promise<void> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  const told = new Set<string>();
  for (;;) {
    const left = [...Holder.find()].filter(([folder]) => folder.startsWith(containersPath + sep));
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`Cannot end the holders of "${containersPath}": they do not end`);
    for (const [folder, holder] of left) {
      if (!told.has(folder)) took(`ended the holder of the streams in ${folder}`);
      told.add(folder);
      holder.release();
    }
    await sleep(POLL_MS);
  }
}

/** Removes the cgroups of these containers with what still runs in them. */
export async function removeAllCgroups(ids: ReadonlySet<string>, took: Took): Promise<void> {
  for (const [id, cgroups] of await findCgroups(ids)) {
    for (const pid of await endCgroups(id, cgroups)) took(`killed process ${pid}, which container ${id} had left`);
    took(`removed ${cgroups.length} cgroups of container ${id}`);
  }
}

/** Takes away the mounts that `list` gives, the deepest first; from sight only where one is in use. */
export async function umountAll(list: () => string[], took: Took): Promise<void> {
  for (const path of list().sort((a, b) => b.split(sep).length - a.split(sep).length)) {
    try {
      await umount(path);
      took(`unmounted ${path}`);
    } catch (error) {
      if (hasCode(error, 'EINVAL', 'ENOENT')) continue; // it went with another one
      if (!hasCode(error, 'EBUSY')) throw error;
      await umount(path, true);
      took(`unmounted ${path}, which is in use: it goes for good with its last user`);
    }
  }
  const [left] = list();
  if (left !== undefined) throw new Error(`Cannot unmount "${left}": it is there again`);
}

/** Removes what LXC keeps in /run for the containers below `containersPath`. */
export async function removeLockFiles(containersPath: string, took: Took): Promise<void> {
  for (const top of LOCK_FOLDERS) {
    const folder = join(top, containersPath);
    if (!isThere(folder)) continue;
    await removeTree(folder);
    took(`removed ${folder}`);
    // That of the data directory. Those above it are shared: to make another one in them just now must not fail.
    await rmdir(dirname(folder));
  }
}
