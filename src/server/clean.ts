// `tsdock -d --clean`: takes everything of a data directory off the machine, and with `--data` the directory too.
//
// First as a daemon would: the containers are taken over and killed, so that their last output and how they ended are on
// record and their files whole. Then whatever is left is swept up by its name, also where the record of it is damaged or
// gone. Anything may be there or not, so a second run finds nothing.
//
// The rules that must hold: nothing is touched while a daemon has the directory, and nothing outside of what daemons made
// there is unmounted or removed.
//
// 2013: none

import { realpath } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Docker } from '../container/docker.js';
import { isThere } from '../filesystem/folders.js';
import { overlay } from '../filesystem/overlay.js';
import { hasCode } from '../linux/libc.js';
import { Poller } from '../linux/poller.js';
import { readLxcMachine } from '../lxc/lxc-config.js';
import { findLxcStarts } from '../lxc/lxc-start.js';
import { NO_BRIDGE } from '../network/bridge.js';
import { NetworkManager } from '../network/network-manager.js';
import { closeBridges } from '../network/open-bridge.js';
import { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { lockDataDirectory, NETWORK_RECORD } from './data-directory.js';
import { endHolders, endLxcStarts, removeAllCgroups, removeLockFiles, umountAll, type Took } from './leftovers.js';
import {
  isContainerMount,
  isDataDirectory,
  mountsThat,
  namesIn,
  refuseForeignData,
  removeData,
  removeLink,
} from './remove-data.js';

/** What is to be taken away. */
export interface CleanOptions {
  /** the data directory, as a daemon is told it */
  directory: string;
  /** the directory itself too */
  withData: boolean;
  /** the name of the bridge, as a daemon is told it; with those that the directory names it is looked for everywhere */
  bridge: string;
}

/** The data directory, and who is told of what is done to it. */
interface Cleaning {
  /** without symbolic links, as the kernel and LXC name it */
  root: string;
  poller: Poller;
  took: Took;
  say: (line: string) => void;
  /** Does a part of the work. A failure is told at the end, after all that can be done has been done. */
  attempt: (work: () => Promise<void>) => Promise<void>;
}

/** The name of a container's folder while it is made or removed, up to the id. */
const HALF_MADE_CONTAINER = /^\.tmp-[0-9a-f]{8}-/;
const ID = /^[0-9a-f]{8}$/;

/**
 * See the head of the file. Tells `say` of each thing that it took away, in a line, or that there was nothing. Rejects, with
 * nothing touched, where a daemon has the directory, or where it is to be removed and holds what is not tsdock's. Where one
 * thing cannot be taken away it rejects after all others, and the data stays.
 */
export async function clean(options: CleanOptions, say: (line: string) => void): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('Cannot clean up: only root can take away what the daemon made');
  const asked = resolve(options.directory);
  const root = await realPathOf(asked);
  if (options.withData) await refuseForeignData(root);
  if (await isDataDirectory(root)) await lockDataDirectory(root);

  let count = 0;
  const took: Took = (line) => {
    count++;
    say(line);
  };
  const problems: string[] = [];
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    await work().catch((error: unknown) => void problems.push(errorMessage(error)));
  };
  const poller = new Poller();
  try {
    await attempt(() => cleanContainers({ root, poller, took, say, attempt }));
  } finally {
    await poller.close();
  }
  await attempt(() => closeBridges(join(root, NETWORK_RECORD), options.bridge, took));
  if (options.withData && problems.length === 0) {
    await attempt(() => removeData(root, took));
    if (asked !== root) await attempt(() => removeLink(asked, took));
  }
  if (problems.length > 0) throw new Error(`Cannot clean up "${root}": ${problems.join('; ')}`);
  if (count === 0) say(`Nothing to take away of ${root}`);
}

/** Everything that containers have outside of their folders. */
async function cleanContainers(cleaning: Cleaning): Promise<void> {
  const { root, poller, took, attempt } = cleaning;
  const containersPath = join(root, 'containers');
  const isOurs = (path: string): boolean => isContainerMount(root, path);
  const mountedBefore = mountsThat(isOurs);
  const running = new Set(findLxcStarts(containersPath).keys());
  const ids = new Set([...running, ...(await idsIn(containersPath))]);
  // 1. What has outlived its lxc-start: it would print on while its container is put on record as ended.
  await attempt(() => removeAllCgroups(new Set([...ids].filter((id) => !running.has(id))), took));
  // 2. The containers.
  if (isThere(containersPath)) await attempt(() => endContainers(cleaning, containersPath));
  const mounted = mountsThat(isOurs);
  for (const each of mountedBefore) if (!mounted.includes(each)) took(`unmounted ${each}`);
  // 3. What they did not give back: processes first, as they hold the rest.
  await attempt(() => endLxcStarts(poller, containersPath, took));
  await attempt(() => endHolders(containersPath, took));
  await attempt(() => removeAllCgroups(ids, took));
  await attempt(() => umountAll(() => mountsThat(isOurs), took));
  await attempt(() => removeLockFiles(containersPath, took));
}

/** Opens the containers as a daemon does, which puts those that have ended on record, and kills those that run. */
async function endContainers({ root, poller, took, say }: Cleaning, containersPath: string): Promise<void> {
  const containers = await Docker.open({
    containersPath,
    layersPath: join(root, 'images', 'layers'),
    // Nothing is mounted or started here: a container is unmounted by the driver that its folder names, and the network
    // is taken away as a whole afterwards.
    driver: overlay,
    lxc: readLxcMachine(''),
    network: await NetworkManager.open({ bridge: NO_BRIDGE, bip: '', recordPath: '', log: say }),
    poller,
    logMaxBytes: 0,
    atExit: new Set(),
    damage: new DamageReport(say),
    layersOf: () => undefined,
    log: say,
  });
  const running = containers.list().filter(({ state }) => state.isRunning);
  const killed = running.map(async (container) => {
    await container.kill();
    await container.settled();
    took(`ended container ${container.id}`);
  });
  await Promise.allSettled(killed);
  await Promise.all(killed); // rejects where one did, after all are done
}

/** The ids of the containers that have, or had, a folder. No other names: a container of somebody else's may have them. */
async function idsIn(containersPath: string): Promise<string[]> {
  const names = await namesIn(containersPath);
  return names.flatMap((name) => ID.exec(name.replace(HALF_MADE_CONTAINER, '')) ?? []);
}

/** The path without symbolic links; as it is where nothing is there. */
async function realPathOf(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return path;
    throw error;
  }
}
