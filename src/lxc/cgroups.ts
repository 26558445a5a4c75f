// What is left of a container's cgroups when its lxc-start did not end by itself: LXC removes them last, and who kills it
// keeps it from that. Processes may be left in them as well: a program that has changed its user outlives its lxc-start.
//
// LXC makes them at the top of each tree, on some machines below the cgroup of the daemon that ran it, and adds `-1` and so
// on to a name that is taken.
//
// 2013: none

import { readFileSync } from 'node:fs';
import { readdir, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../linux/libc.js';
import { readMounts, type MountInfo } from '../linux/mountinfo.js';
import { pidfdSendSignal, withPidfd } from '../linux/process.js';
import { Freezer } from './freezer.js';

/** A cgroup that LXC made. */
export interface Cgroup {
  path: string;
  /** of cgroup v2 */
  isUnified: boolean;
}

/** How long the processes in a cgroup may take to be gone. */
const END_TIMEOUT_MS = 5_000;
const POLL_MS = 5;
/** How versions of LXC call a container's cgroups: a prefix of the name, and the folder before 4.0 */
const NAME = /^lxc\.(?:payload|monitor)\.(.+)$/;
const FOLDER = /^lxc(?:\.payload|\.monitor)?$/;

/** Removes the cgroups that LXC made for the container `id`, as far as they are there, and kills what is left in them. */
export async function removeCgroups(id: string): Promise<void> {
  const found: Cgroup[] = [];
  for (const mount of cgroupMounts()) {
    for (const parent of new Set([mount.path, ownCgroup(mount)])) {
      const paths = (await childrenOf(parent)).map((name) => join(parent, name));
      found.push(...paths.filter((path) => ownerOf(path, new Set([id])) === id).map((path) => asCgroup(mount, path)));
    }
  }
  await endCgroups(id, found);
}

/** All cgroups that LXC made for these containers, wherever they are, by id. Looks at every cgroup of the machine. */
export async function findCgroups(ids: ReadonlySet<string>): Promise<Map<string, Cgroup[]>> {
  const found = new Map<string, Cgroup[]>();
  for (const mount of ids.size === 0 ? [] : cgroupMounts()) {
    const unseen = [mount.path];
    for (let parent = unseen.pop(); parent !== undefined; parent = unseen.pop()) {
      for (const name of await childrenOf(parent)) {
        const path = join(parent, name);
        const id = ownerOf(path, ids);
        if (id === undefined) unseen.push(path);
        else found.set(id, [...(found.get(id) ?? []), asCgroup(mount, path)]);
      }
    }
  }
  return found;
}

/**
 * Removes these cgroups of the container `id` with those below them, and kills what is in them. Resolves with the pids that
 * were killed. Rejects where they do not go.
 */
export async function endCgroups(id: string, cgroups: readonly Cgroup[]): Promise<number[]> {
  const deadline = performance.now() + END_TIMEOUT_MS;
  const killed = new Set<number>();
  for (;;) {
    const all = (await Promise.all(cgroups.map(treeOf))).flat();
    // All are thawed before one is removed: a frozen process of v1 does not die, and is in a cgroup of every tree.
    for (const { path, isUnified } of all) new Freezer(id, path, isUnified).thaw();
    for (const pid of all.flatMap(killAll)) killed.add(pid);
    const inUse = await removeAll(all);
    if (inUse === undefined) return [...killed];
    if (performance.now() > deadline) throw new Error(`Cannot remove cgroup "${inUse}": its processes do not end`);
    await sleep(POLL_MS);
  }
}

/** The cgroup and all below it, the outermost first. */
async function treeOf(top: Cgroup): Promise<Cgroup[]> {
  const tree = [top];
  for (const { path } of tree) {
    for (const name of await childrenOf(path)) tree.push({ ...top, path: join(path, name) });
  }
  return tree;
}

function killAll({ path }: Cgroup): number[] {
  return processesIn(path).filter(
    // The handle is taken before the check that it is still in there: a pid that was used again cannot pass.
    (pid) => withPidfd(pid, (pidfd) => processesIn(path).includes(pid) && pidfdSendSignal(pidfd, 'SIGKILL')) ?? false,
  );
}

/** None where the cgroup has gone. */
function processesIn(cgroup: string): number[] {
  try {
    const pids = readFileSync(join(cgroup, 'cgroup.procs'), 'latin1').split('\n').map(Number);
    return pids.filter((pid) => pid > 0); // 0: a process that this namespace does not see
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

/** Removes the cgroups, the last one first; what looks like files in them goes with them. Resolves with one that is in use. */
async function removeAll(cgroups: readonly Cgroup[]): Promise<string | undefined> {
  let inUse: string | undefined;
  for (const { path } of [...cgroups].reverse()) {
    try {
      await rmdir(path);
    } catch (error) {
      if (hasCode(error, 'EBUSY', 'ENOTEMPTY')) inUse = path;
      else if (!hasCode(error, 'ENOENT')) throw error;
    }
  }
  return inUse;
}

/** The names of the cgroups right below; none where it has gone. */
async function childrenOf(cgroup: string): Promise<string[]> {
  try {
    const entries = await readdir(cgroup, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENODEV')) return [];
    throw error;
  }
}

/** The container, one of these, that has the cgroup. */
function ownerOf(path: string, ids: ReadonlySet<string>): string | undefined {
  const name = basename(path);
  const [, id = FOLDER.test(basename(dirname(path))) ? name : ''] = NAME.exec(name) ?? [];
  return [id, id.replace(/-\d+$/, '')].find((each) => ids.has(each));
}

function cgroupMounts(): MountInfo[] {
  return readMounts().filter(({ type }) => type === 'cgroup' || type === 'cgroup2');
}

function asCgroup({ type }: MountInfo, path: string): Cgroup {
  return { path, isUnified: type === 'cgroup2' };
}

/** The folder of the cgroup that this process is in; the top where that is not to be seen. */
function ownCgroup(mount: MountInfo): string {
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
    const [, controllers, path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    const isHere =
      mount.type === 'cgroup2'
        ? controllers === ''
        : controllers !== '' && controllers?.split(',').every((each) => mount.options.includes(each));
    const top = mount.root.replace(/\/$/, '');
    if (isHere === true && path.startsWith(`${top}/`)) return join(mount.path, path.slice(top.length));
  }
  return mount.path;
}
