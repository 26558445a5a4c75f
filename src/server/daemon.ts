// The daemon: checks that the machine can do it, opens the data, listens, and ends cleanly.
//
// Everything that a person can mend is told in one sentence that says how. Containers are not the daemon's to end: they
// run on when it does.
//
// 2013: dockerd/dockerd.go, main and New

import { lstatSync } from 'node:fs';
import { resolve } from 'node:path';
import { Docker } from '../container/docker.js';
import { DRIVERS } from '../filesystem/drivers.js';
import { forgetStrayShadows } from '../filesystem/overlay-shadows.js';
import { pickDriver } from '../filesystem/pick-driver.js';
import { Store } from '../image/store.js';
import { NetworkManager } from '../network/network-manager.js';
import { checkNetworkRecord } from '../network/network-record.js';
import { exitAtOnce } from '../linux/exit.js';
import { Poller } from '../linux/poller.js';
import { readLxcMachine } from '../lxc/lxc-config.js';
import { lxcVersion } from '../lxc/lxc-start.js';
import { placeSeccompProfile } from '../lxc/seccomp-profile.js';
import { Calls } from '../rcli/calls.js';
import { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { programVersion } from '../util/program-files.js';
import { callerJudge } from './callers.js';
import { openDaemonLog } from './daemon-log.js';
import { clearFolders, lockDataDirectory, removeHalfMade } from './data-directory.js';
import { Doors, type DoorOptions } from './doors.js';
import { parseLogMax } from './log-max.js';
import { rebuildIndex } from './rebuild-index.js';
import { Server } from './server.js';

/** How long replies under way may take once the daemon is to end, in milliseconds. */
const DRAIN_MS = 5_000;

/** What the daemon is told on its command line. */
export interface DaemonOptions extends DoorOptions {
  /** the data directory */
  directory: string;
  /** the mount driver to use; undefined for the first that works */
  driver: string | undefined;
  /** the name of the bridge, or `none` */
  bridge: string;
  /** the bridge's address, `a.b.c.d/n`; empty for the one that it has, or a free one */
  bip: string;
  /** what the log of a container may have on disk, as in `100m`; `0` for any amount */
  logMax: string;
}

/** Runs until SIGTERM or SIGINT. Rejects, before anything listens, with what keeps it from running. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const log = openDaemonLog();
  if (process.getuid?.() !== 0)
    throw new Error('The daemon must run as root: it mounts file systems and makes namespaces');
  const logMaxBytes = parseLogMax(options.logMax);
  // Before anything is made: a daemon that cannot be reached is of no use.
  const doors = await Doors.check(options, log);
  const version = programVersion();
  const lxc = await lxcVersion();
  const directory = await lockDataDirectory(resolve(options.directory));
  const damage = new DamageReport(log);
  await clearFolders(directory, damage);
  await removeHalfMade(directory, log);
  const driver = await pickDriver(directory.root, options.driver, log);
  const hooks = {
    onArrival: (layer: string, folder: string, { hasWhiteoutNames }: { hasWhiteoutNames: boolean }) =>
      driver.prepareLayer(layer, folder, hasWhiteoutNames),
    onGone: async (layer: string) => {
      for (const each of DRIVERS) await each.forgetLayer(layer); // whichever used it
    },
    log,
  };
  const images = await Store.open(directory.images, hooks, damage);
  const { bridge, bip } = options;
  await checkNetworkRecord(directory.network, damage);
  const network = await NetworkManager.open({ bridge, bip, recordPath: directory.network, log });
  const poller = new Poller();
  const atExit = new Set([() => poller.interrupt()]);
  process.once('exit', () => atExit.forEach((undo) => undo()));
  const containers = await Docker.open({
    containersPath: directory.containers,
    layersPath: images.layers.path,
    driver,
    lxc: readLxcMachine(lxc, await placeSeccompProfile(directory.root, log)),
    network,
    poller,
    logMaxBytes,
    atExit,
    damage,
    layersOf: (id) => images.index.find(id)?.layers,
    log,
  });
  await rebuildIndex(images, containers, damage);
  reportMissingLayers(images, containers, damage);
  await freeLayers(images, containers, damage, log);
  await forgetStrayShadows(images.layers.path);
  const server = new Server({
    containers,
    images,
    version,
    lxcVersion: lxc,
    driver: driver.name,
    network,
    damage,
    webUrl: () => doors.webUrl,
    log,
  });
  const calls = new Calls(server, log);

  const ended = endSignal();
  await doors.open(calls, { name: 'tsdock', version }, (isVerified) => callerJudge(network, isVerified));
  log(
    `tsdock ${version} on ${doors.toString()}: data ${directory.root}, driver ${driver.name}, lxc ${lxc}, bridge ${network.toString()}`,
  );

  const signal = await ended;
  doors.close();
  const cut = await calls.drain(DRAIN_MS);
  const running = containers.list().filter(({ state }) => state.isRunning).length;
  log(`${signal}: no more calls, ${cut} cut; ${running} containers keep running`);
  exitAtOnce(0); // what still holds the event loop (idle connections, the poller) is of no use any more
}

/**
 * Frees the layers that nothing uses any more, and lets them be freed from now on. Not while there is damage that may name
 * some of them: what a damaged file names must be there when somebody has mended it.
 */
async function freeLayers(
  images: Store,
  containers: Docker,
  damage: DamageReport,
  log: (line: string) => void,
): Promise<void> {
  const isUsed = (layer: string): boolean => images.index.usesLayer(layer) || containers.usesLayer(layer);
  images.layers.setUsers((layer) => damage.needsLayers || isUsed(layer));
  await images.layers.freeUnused().catch((error: unknown) => log(errorMessage(error)));
}

/** Names the layers that are not there and that only containers have: those of images are told with the images. */
function reportMissingLayers(images: Store, containers: Docker, damage: DamageReport): void {
  const seen = new Set<string>();
  for (const { id, layers } of containers.list()) {
    for (const layer of layers) {
      if (seen.has(layer) || images.index.usesLayer(layer)) continue;
      seen.add(layer);
      if (isFolder(layer)) continue;
      const isStillSo = (): boolean => containers.usesLayer(layer) && !isFolder(layer);
      damage.add(`${layer} is missing, a layer of container ${id}: what needs it cannot run`, { isStillSo });
    }
  }
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** Resolves with the name of the first signal that asks the daemon to end. */
function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}
