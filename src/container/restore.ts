// Finding the containers of an earlier daemon again: what stands in their folders, and what is really so.
//
// `Docker.open` calls it, once, before anybody is answered. So it looks at each container no longer than it must: a folder is
// listed once, what is mounted is asked for once, and where nothing in the folder of a stopped container tells of unfinished
// work, its record is all that is read.
//
// The rule that must hold: damage to one container is no reason not to have the others, and one that runs is never taken for
// ended.
//
// 2013: docker.go, Docker.restore

import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { mendRwDriver } from '../filesystem/mend-rw.js';
import { vfs } from '../filesystem/vfs.js';
import { readMounts } from '../linux/mountinfo.js';
import { removeTree } from '../linux/remove-tree.js';
import { removeCgroups } from '../lxc/cgroups.js';
import { findLxcStarts, type ProcessId } from '../lxc/lxc-start.js';
import { isTemporary, removeTemporaries } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { isPathTaken } from '../util/set-aside.js';
import { Container } from './container.js';
import { isFolderFinished, listContainerFolder, UNSYNCED } from './container-folder.js';
import { Holder } from './holder.js';
import { wasCutAtCreation } from './recover.js';
import type { Runtime } from './runtime.js';
import { hasFifos } from './stdio.js';

/** A container as it was found. */
interface Found {
  container: Container;
  /** nothing in its folder tells of work that was not finished */
  isFinished: boolean;
}

/** What is really so of one container. */
interface Reality {
  /** its lxc-start */
  process: ProcessId | undefined;
  holder: Holder | undefined;
  isMounted: boolean;
}

/**
 * Puts all containers that are found into `containers`, the oldest first, and brings each into the state that it really is
 * in: those that run are taken over, those that ended meanwhile are concluded. `remove` takes one away for good.
 */
export async function restoreContainers(
  runtime: Runtime,
  containers: Map<string, Container>,
  remove: (container: Container) => Promise<void>,
): Promise<void> {
  const { containersPath, log } = runtime;
  await removeTemporaries(containersPath, (left) => removeUnfinished(left, log));
  const running = findLxcStarts(containersPath);
  const found = await loadAll(runtime, containers, running);
  // Oldest first: `Docker.list` counts on the order of insertion between containers of the same moment.
  found.sort((a, b) => a.container.createdAtMs - b.container.createdAtMs);
  const holders = Holder.find();
  const mounted = new Set(readMounts().map(({ path }) => path));
  for (const { container, isFinished } of found) {
    const { id, root } = container;
    containers.set(id, container);
    const process = running.get(id);
    const reality = { process, holder: holders.get(root), isMounted: mounted.has(join(root, 'rootfs')) };
    if (isFinished && isAtRest(container, reality)) continue;
    try {
      await restoreOne(runtime, container, reality, remove);
    } catch (error) {
      log(`container ${id}: ${errorMessage(error)}`);
      await (process === undefined ? container.giveUp() : adoptInSpite(runtime, container, process)).catch(
        (problem: unknown) => log(`container ${id}: ${errorMessage(problem)}`),
      );
    }
  }
}

/** What can be read of all containers, each on its own. */
async function loadAll(
  runtime: Runtime,
  containers: ReadonlyMap<string, Container>,
  running: ReadonlyMap<string, ProcessId>,
): Promise<Found[]> {
  const { containersPath, damage } = runtime;
  const all: Found[] = [];
  for (const name of await readdir(containersPath)) {
    if (isTemporary(name)) continue;
    const root = join(containersPath, name);
    try {
      const found = await load(runtime, name, running.get(name)?.pid);
      if (found === undefined) continue;
      if (!found.container.hasKnownLayers)
        damage.add(`the layers of container ${root} are not known: no layer is freed until it is removed`, {
          isStillSo: () => containers.get(name) === found.container,
          needsLayers: true,
        });
      all.push(found);
    } catch (error) {
      damage.add(`container ${root} is left out: ${errorMessage(error)}`, {
        isStillSo: () => isPathTaken(root),
        needsLayers: true,
      });
    }
  }
  const known = new Set(all.map(({ container }) => container.id));
  const lost = [...running].filter(([id]) => !known.has(id));
  for (const [id, { pid }] of lost)
    damage.add(
      `lxc-start ${pid} runs container ${JSON.stringify(id)}, which is not known: \`tsdock -d --clean\` ends it`,
      {
        isStillSo: () => findLxcStarts(containersPath).get(id)?.pid === pid,
      },
    );
  return all;
}

/** Undefined for what is no container. */
async function load(runtime: Runtime, id: string, lxcStartPid: number | undefined): Promise<Found | undefined> {
  const { containersPath, damage } = runtime;
  const root = join(containersPath, id);
  const names = await listContainerFolder(containersPath, id, damage);
  if (names === undefined) return undefined;
  const isUnsynced = names.includes(UNSYNCED);
  if (isUnsynced && lxcStartPid === undefined && wasCutAtCreation(root)) {
    await removeUnfinished(root, runtime.log);
    return undefined;
  }
  const driver = await mendRwDriver(join(root, 'rw'), damage);
  const container = await Container.load(runtime, root, { lxcStartPid, isUnsynced });
  // Of a plain copy names alone do not tell whether it is whole.
  return { container, isFinished: driver !== undefined && driver !== vfs.name && isFolderFinished(id, names) };
}

/** Whether it is stopped, on record and in fact. */
function isAtRest(container: Container, { process, holder, isMounted }: Reality): boolean {
  const isStopped = process === undefined && holder === undefined && !container.state.isRunning;
  return isStopped && !isMounted && !container.isUnfinished;
}

async function restoreOne(
  { log }: Runtime,
  container: Container,
  { process, holder }: Reality,
  remove: (container: Container) => Promise<void>,
): Promise<void> {
  // What cannot be taken away is no reason to leave a container that runs alone.
  await container.recover().catch((error: unknown) => log(`container ${container.id}: ${errorMessage(error)}`));
  if (process !== undefined) await container.adopt(process, holder);
  else if (container.state.isRunning || holder !== undefined || hasFifos(container.root))
    await container.conclude(holder);
  else if (await container.filesystem.isMounted()) await container.filesystem.umount();
  if (process === undefined && container.isUnfinished) {
    await remove(container);
    log(`removed unfinished container ${container.id}`);
  } else if (container.isUnsynced) await container.saveInTheEnd();
}

/** Without its streams, where they are what could not be taken over. */
async function adoptInSpite(
  { containersPath, damage }: Runtime,
  container: Container,
  process: ProcessId,
): Promise<void> {
  try {
    await container.adopt(process, undefined);
  } catch (error) {
    damage.add(
      `container ${container.root} runs as lxc-start ${process.pid}, and cannot be taken over: ${errorMessage(error)}: ` +
        'end that process, or all by `tsdock -d --clean`',
      { isStillSo: () => findLxcStarts(containersPath).get(container.id)?.pid === process.pid },
    );
  }
}

/** Removes what is no container yet, or no more. One that cannot be removed is no reason not to start. */
async function removeUnfinished(left: string, log: Runtime['log']): Promise<void> {
  try {
    const id = /^(?:\.tmp-[0-9a-f]{8}-)?([0-9a-f]{8})$/.exec(basename(left))?.[1];
    if (id !== undefined) await removeCgroups(id); // a daemon was killed before it came to that
    await removeTree(left);
    log(`removed unfinished ${basename(left)}`);
  } catch (error) {
    log(errorMessage(error));
  }
}
