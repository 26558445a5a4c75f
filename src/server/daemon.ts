// The daemon: checks that the machine can do it, opens the data, listens, and ends cleanly.
//
// Everything that a person can mend is told in one sentence that says how. Containers are not the daemon's to end: they
// run on when it does.
//
// 2013: dockerd/dockerd.go, main and New

import { createRequire } from 'node:module';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Docker } from '../container/docker.js';
import { DRIVERS } from '../filesystem/drivers.js';
import { pickDriver } from '../filesystem/pick-driver.js';
import { Store } from '../image/store.js';
import { NetworkManager } from '../network/network-manager.js';
import { Poller } from '../linux/poller.js';
import { readLxcMachine } from '../lxc/lxc-config.js';
import { lxcVersion } from '../lxc/lxc-start.js';
import { Calls } from '../rcli/calls.js';
import { createHttpServer } from '../rcli/http.js';
import { createTcpServer } from '../rcli/tcp.js';
import { errorMessage } from '../util/errors.js';
import { goLogTime } from '../util/go-time.js';
import { lockDataDirectory } from './data-directory.js';
import { checkFree, listen, parseAddress } from './listen.js';
import { Server } from './server.js';

/** How long replies under way may take once the daemon is to end, in milliseconds. */
const DRAIN_MS = 5_000;

/** What a server that listens everywhere calls its address: nothing that a browser could go to. */
const EVERY_ADDRESS = /^(0\.0\.0\.0|\[::\])/;

/** What the daemon is told on its command line. */
export interface DaemonOptions {
  /** the data directory */
  directory: string;
  /** HOST:PORT of the TCP server */
  tcp: string;
  /** HOST:PORT of the HTTP server, or `off` */
  http: string;
  /** the mount driver to use; undefined for the first that works */
  driver: string | undefined;
  /** the name of the bridge, or `none` */
  bridge: string;
  /** the bridge's address, `a.b.c.d/n`; empty for the one that it has, or a free one */
  bip: string;
}

/** Runs until SIGTERM or SIGINT. Rejects, before anything listens, with what keeps it from running. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  process.stderr.on('error', () => undefined); // a log that nobody can take any more is no reason to end
  const log = (line: string): void => void process.stderr.write(`${goLogTime(new Date())} ${line}\n`);
  if (process.getuid?.() !== 0)
    throw new Error('The daemon must run as root: it mounts file systems and makes namespaces');
  const [tcpAddress, httpAddress] = [
    parseAddress(options.tcp),
    options.http === 'off' ? undefined : parseAddress(options.http),
  ];
  // Before anything is made: a daemon that cannot be reached is of no use.
  for (const address of [tcpAddress, httpAddress]) if (address !== undefined) await checkFree(address);
  const version = programVersion();
  const lxc = await lxcVersion();
  const directory = await lockDataDirectory(resolve(options.directory));
  const driver = await pickDriver(directory.root, options.driver, log);
  const images = await Store.open(directory.images, {
    onArrival: (layer, folder, { hasWhiteoutNames }) => driver.prepareLayer(layer, folder, hasWhiteoutNames),
    onGone: async (layer) => {
      for (const each of DRIVERS) await each.forgetLayer(layer); // whichever used it
    },
    log,
  });
  const { bridge, bip } = options;
  const network = await NetworkManager.open({ bridge, bip, recordPath: directory.network, log });
  const poller = new Poller();
  const atExit = new Set([() => poller.interrupt()]);
  process.once('exit', () => atExit.forEach((undo) => undo()));
  const containers = await Docker.open({
    containersPath: directory.containers,
    layersPath: images.layers.path,
    driver,
    lxc: readLxcMachine(lxc),
    network,
    poller,
    atExit,
    log,
  });
  await freeLayers(images, containers, log);
  let webUrl: string | undefined;
  const server = new Server({
    containers,
    images,
    version,
    lxcVersion: lxc,
    driver: driver.name,
    network,
    webUrl: () => webUrl,
    log,
  });
  const calls = new Calls(server, log);

  const ended = endSignal();
  const tcp = createTcpServer(calls, { name: 'tsdock', version }, log);
  const http = createHttpServer(calls, log);
  const listening = [`tcp ${await listen(tcp, tcpAddress)}`];
  if (httpAddress !== undefined) {
    const bound = await listen(http, httpAddress);
    listening.push(`http ${bound}`);
    webUrl = `http://${bound.replace(EVERY_ADDRESS, hostname())}/web`;
  }
  log(
    `tsdock ${version} on ${listening.join(', ')}: data ${directory.root}, driver ${driver.name}, lxc ${lxc}, bridge ${network.toString()}`,
  );

  const signal = await ended;
  for (const each of [tcp, http]) each.close();
  const cut = await calls.drain(DRAIN_MS);
  const running = containers.list().filter(({ state }) => state.isRunning).length;
  log(`${signal}: no more calls, ${cut} cut; ${running} containers keep running`);
  process.exit(0); // what still holds the event loop (idle connections, the poller) is of no use any more
}

/**
 * Frees the layers that nothing uses any more, and lets them be freed from now on. Not where something on disk could not
 * be read: what a damaged file names must be there when somebody has mended it.
 */
async function freeLayers(images: Store, containers: Docker, log: (line: string) => void): Promise<void> {
  const damage = images.damage ?? containers.damage;
  if (damage !== undefined) return log(`no layer is freed until this is mended: ${damage}`);
  images.layers.setUsers((layer) => images.index.usesLayer(layer) || containers.usesLayer(layer));
  await images.layers.freeUnused().catch((error: unknown) => log(errorMessage(error)));
}

/** Resolves with the name of the first signal that asks the daemon to end. */
function endSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
}

/** As in package.json, three levels up from the compiled file. */
export function programVersion(): string {
  const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }; // our own file
  return version;
}
