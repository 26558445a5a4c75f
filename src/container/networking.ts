// The network of one run: what its mode gives it, before it begins; what LXC is told of that; and what a later daemon
// finds.
//
// 2013: container.go, Container.allocateNetwork and Container.releaseNetwork

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasNetworkOf } from '../linux/process.js';
import type { LxcNetwork, OwnFile } from '../lxc/lxc-config.js';
import { formatCidr, formatIpv4 } from '../network/ipv4.js';
import { hardwareAddress, interfaceToJSON, type NetworkInterface } from '../network/network-interface.js';
import { removeInterface } from '../network/remove-interface.js';
import { replaceFileUnsynced } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goMarshal } from '../util/go-json.js';
import type { Config } from './config.js';
import { writeEtcFiles } from './etc-files.js';
import type { NetworkMode } from './network-mode.js';
import { readNetwork } from './recover-network.js';
import type { Runtime } from './runtime.js';

/** How long the end of a run waits for its ports to be taken back, in milliseconds. */
const GIVE_BACK_MS = 5_000;
/** The copy of a run's interface, in the container's folder. */
const FILE = 'network.json';

/** A container that is being started. */
interface Networked {
  readonly id: string;
  /** its folder */
  readonly root: string;
  readonly config: Config;
  readonly filesystem: { readonly rootfs: string };
  readonly network: NetworkInterface | undefined;
}

/** An interface on the bridge where the mode is to have one, undefined otherwise. Rejects with nothing taken. 2013: Container.allocateNetwork */
export async function allocateNetwork(
  id: string,
  { mode, ports }: Pick<Config, 'mode' | 'ports'>,
  { network }: Runtime,
): Promise<NetworkInterface | undefined> {
  if (mode.type !== 'bridge') return undefined;
  if (!network.isThere && !mode.isAsked && ports.length === 0) return undefined;
  return network.allocate(id, ports);
}

/**
 * What LXC is to make of it, and the files below /etc that tell the program, which are written here. Rejects where the
 * container whose network is to be shared does not run.
 */
export async function prepareNetwork(
  { id, root, config, filesystem, network }: Networked,
  runtime: Runtime,
): Promise<{ network: LxcNetwork; files: OwnFile[] }> {
  const { mode, hostname } = config;
  const other = mode.type === 'container' ? await runtime.running(mode.id) : undefined;
  const lxc = other === undefined ? ownNetwork(id, mode, network) : sharedNetwork(other.pid);
  const address = (network ?? other?.network)?.address.address;
  const files = writeEtcFiles({
    root,
    rootfs: filesystem.rootfs,
    hostname,
    address: address === undefined ? undefined : formatIpv4(address),
    isHostNetwork: lxc.type === 'host',
    resolvConf: runtime.network.resolvConf(lxc.type === 'host'),
  });
  return { network: lxc, files };
}

/**
 * Leaves a copy of the interface in the container's folder, for a daemon that comes after this one was killed. It need not
 * be on the disk: a machine that loses its memory loses its containers too.
 */
export function keepNetwork(root: string, network: NetworkInterface | undefined): void {
  const path = join(root, FILE);
  if (network === undefined) rmSync(path, { force: true });
  else replaceFileUnsynced(path, goMarshal(interfaceToJSON(network)), 0o600);
}

/** The interface of a container that an earlier daemon started and that runs. Undefined where it has none. */
export async function adoptNetwork(
  id: string,
  root: string,
  { network, damage, log }: Runtime,
): Promise<NetworkInterface | undefined> {
  try {
    const adopted = await readNetwork(join(root, FILE), join(root, 'config.lxc'), damage);
    if (adopted === undefined) return undefined;
    await network.adopt(id, adopted);
    return adopted;
  } catch (error) {
    log(`container ${id}: ${errorMessage(error)}`); // it runs all the same
    return undefined;
  }
}

/**
 * Gives back what a run had of the bridge, once nothing of it is left there. Resolves when that is done, or takes too long:
 * then it goes on, and the end of the run need not wait. Never rejects: the daemon's log is told.
 */
export async function giveBack(id: string, given: NetworkInterface, runtime: Runtime): Promise<void> {
  const done = removeLeftInterface(id, runtime).then(() => runtime.network.release(given));
  const expiry = new AbortController();
  const late = sleep(GIVE_BACK_MS, undefined, { signal: expiry.signal }).catch(() => undefined); // it is done in time
  await Promise.race([done, late]);
  expiry.abort();
}

/** Takes the end of its interface on the bridge away, where it outlived the run. Never rejects: the daemon's log is told. */
export async function removeLeftInterface(id: string, { log }: Runtime): Promise<void> {
  await removeInterface(hostInterfaceOf(id)).catch((error: unknown) => log(`container ${id}: ${errorMessage(error)}`));
}

/** The name of the end of its interface that is on the bridge. */
export function hostInterfaceOf(id: string): string {
  return `veth${id}`;
}

function ownNetwork(id: string, mode: NetworkMode, network: NetworkInterface | undefined): LxcNetwork {
  if (mode.type === 'host') return { type: 'host' };
  if (network === undefined) return { type: 'empty' };
  const { bridge, address, gateway } = network;
  const hostInterface = hostInterfaceOf(id);
  const mac = hardwareAddress(network);
  return { type: 'veth', bridge, hostInterface, mac, address: formatCidr(address), gateway: formatIpv4(gateway) };
}

/** Who shares the network of a container that has the host's must be kept from changing it, too. */
function sharedNetwork(pid: number): LxcNetwork {
  return hasNetworkOf(pid) ? { type: 'host' } : { type: 'share', pid };
}
