// Making the machine ready for containers on a bridge: lock, bridge, forwarding, the packet filter's chains. And taking all
// of it away again.
//
// Each step is safe to repeat: a daemon that comes after one that was killed in the middle goes on from there.
//
// DIFFERS D28: the daemon makes the bridge; the original found docker0, which a script had made, or did not start.
//
// 2013: network.go, newNetworkManager and newPortMapper

import { readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorMessage } from '../util/errors.js';
import {
  addBridge,
  addressBridge,
  allowLoopback,
  bridgeAlias,
  BridgeMistake,
  findBridge,
  freeNetwork,
  isForBridge,
  isShared,
  NO_BRIDGE,
  networksInUse,
  OWN_BRIDGES,
  raiseBridge,
  removeBridge,
  type Bridge,
  type FoundBridge,
} from './bridge.js';
import { lockBridge } from './bridge-lock.js';
import { Firewall, removeChains } from './firewall.js';
import { formatCidr, overlaps, type Cidr } from './ipv4.js';
import { readNetworkRecord, removeNetworkRecord, writeNetworkRecord, type NetworkRecord } from './network-record.js';

/** How many networks to try: another daemon may take the same one in the same moment. */
const ATTEMPTS = 5;
const FORWARDING = '/proc/sys/net/ipv4/ip_forward';

/** Which bridge, and where what is made is put on record. */
export interface BridgeOptions {
  /** empty for one of the daemon's own choice */
  name: string;
  /** the address that it is to have; undefined for the one it has, or a free one */
  wanted: Cidr | undefined;
  /** in the data directory */
  recordPath: string;
  log: (line: string) => void;
}

/** A bridge that is ready, and its chains. */
export interface OpenBridge {
  bridge: Bridge;
  firewall: Firewall;
}

/** A bridge that is this daemon's alone, as it was found. */
interface Taken {
  name: string;
  found: FoundBridge | undefined;
  unlock: () => void;
}

/**
 * See the head of the file. Rejects with BridgeMistake where another bridge should be asked for, and with what else the
 * machine cannot do; what was made until then is taken away.
 */
export async function openBridge(options: BridgeOptions): Promise<OpenBridge> {
  const record = await readNetworkRecord(options.recordPath);
  const taken = await takeBridge(options, record);
  const { name, found, unlock } = taken;
  try {
    const bridge = await readyBridge(taken, options, record);
    const firewall = new Firewall(name, bridge.address);
    await firewall.setUp();
    await allowLoopback(name, true);
    await forward(record, options);
    return { bridge, firewall };
  } catch (error) {
    // What was there before serves containers that run.
    for (const undo of found === undefined ? [removeChains, removeBridge] : []) {
      await undo(name).catch((problem: unknown) => options.log(errorMessage(problem))); // the first error counts
    }
    unlock();
    throw error;
  }
}

/**
 * Takes away the chains of those bridges that the record names, and the bridges that a daemon of this data directory made.
 * Says each. Rejects where a daemon works with one of them. `name`, or those of a daemon's own choice, are looked for as
 * well: the record may have been lost.
 */
export async function closeBridges(recordPath: string, name: string, say: (line: string) => void): Promise<void> {
  const record = await readNetworkRecord(recordPath);
  const recorded = record.bridges.map((bridge) => bridge.name);
  const alias = aliasFor(recordPath);
  for (const each of new Set([...recorded, ...(name === '' ? OWN_BRIDGES : [name])])) {
    const found = each === NO_BRIDGE ? undefined : await findBridge(each);
    const isOurs = found?.alias === alias;
    if (!isOurs && !recorded.includes(each)) continue;
    const unlock = lockBridge(each);
    if (unlock === undefined) throw new Error(`Cannot take bridge "${each}" away: a daemon works with it`);
    try {
      if (found !== undefined && !isOurs) await allowLoopback(each, false);
      if (await removeChains(each)) say(`removed the packet filter's rules of bridge ${each}`);
      if (isOurs && (await removeBridge(each))) say(`removed bridge ${each}`);
    } finally {
      unlock();
    }
  }
  if (record.hasEnabledForwarding) {
    say(`left IPv4 forwarding on, which a daemon switched on: others may count on it by now (${FORWARDING})`);
  }
  await removeNetworkRecord(recordPath);
}

/** Takes the chains of these bridges away, which no container is on any more, but for those that another daemon has. */
export async function forgetBridges(names: readonly string[]): Promise<void> {
  for (const name of names) {
    const unlock = lockBridge(name);
    if (unlock === undefined) continue;
    try {
      await removeChains(name);
    } finally {
      unlock();
    }
  }
}

/**
 * The bridge that was asked for; or, where none was, the first that is neither in use nor made by a daemon of another data
 * directory, whose containers may still run on it.
 */
async function takeBridge({ name, recordPath }: BridgeOptions, record: NetworkRecord): Promise<Taken> {
  const before = record.bridges.map((bridge) => bridge.name).filter((known) => OWN_BRIDGES.includes(known));
  const names = name === '' ? [...before, ...OWN_BRIDGES] : [name];
  for (const each of new Set(names)) {
    const unlock = lockBridge(each);
    if (unlock === undefined) continue;
    try {
      const found = await findBridge(each);
      if (found?.alias === undefined || found.alias === aliasFor(recordPath)) return { name: each, found, unlock };
    } catch (error) {
      unlock();
      throw error;
    }
    unlock();
  }
  throw new BridgeMistake(
    `Cannot use bridge ${names.join(', ')}: another daemon does; choose another name with --bridge`,
  );
}

/** The bridge with an address: as it is, or made. On record before anything is made. */
async function readyBridge(
  { name, found }: Taken,
  { wanted, recordPath, log }: BridgeOptions,
  record: NetworkRecord,
): Promise<Bridge> {
  const known = record.bridges.find((bridge) => bridge.name === name)?.address;
  const remember = async (address: Cidr): Promise<Bridge> => {
    record.bridges = [{ name, address }, ...record.bridges.filter((bridge) => bridge.name !== name)];
    await writeNetworkRecord(recordPath, record);
    return { name, address };
  };
  const preferred = known !== undefined && isForBridge(known) ? known : undefined;
  if (found?.address !== undefined) {
    checkAddress(name, found.address, found, wanted);
    await raiseBridge(name);
    return remember(found.address);
  }
  if (found !== undefined) {
    if (found.alias === undefined) throw new BridgeMistake(`Cannot use bridge "${name}": it has no IPv4 address`);
    // A daemon was killed while it made the bridge, or somebody took the address away; containers may be on it.
    const bridge = await remember(wanted ?? preferred ?? freeNetwork(await networksInUse(), undefined));
    await addressBridge(bridge);
    await raiseBridge(name);
    return bridge;
  }
  for (let attempt = 1; ; attempt++) {
    const used = await networksInUse();
    const crossed = wanted === undefined ? undefined : used.find((other) => overlaps(wanted, other));
    if (crossed !== undefined)
      log(`the network of bridge ${name} has a part of ${formatCidr(crossed)}, which is in use`);
    const bridge = await remember(wanted ?? freeNetwork(used, preferred, attempt > 1));
    await addBridge(bridge, aliasFor(recordPath));
    if (wanted !== undefined || attempt === ATTEMPTS || !(await isShared(bridge))) return bridge;
    await removeBridge(name);
  }
}

function checkAddress(name: string, address: Cidr, { alias }: FoundBridge, wanted: Cidr | undefined): void {
  if (!isForBridge(address)) {
    throw new BridgeMistake(`Cannot use bridge "${name}": in ${formatCidr(address)} there is no room for containers`);
  }
  if (wanted === undefined || formatCidr(address) === formatCidr(wanted)) return;
  const how = alias === undefined ? '' : '; "tsdock -d --clean" takes it away';
  throw new BridgeMistake(
    `Cannot give bridge "${name}" the address "${formatCidr(wanted)}": it has ${formatCidr(address)} already${how}`,
  );
}

function aliasFor(recordPath: string): string {
  return bridgeAlias(dirname(recordPath));
}

/** Lets this machine pass packets on between its networks. */
async function forward(record: NetworkRecord, { recordPath, log }: BridgeOptions): Promise<void> {
  if ((await readFile(FORWARDING, 'latin1')).trim() !== '0') return;
  record.hasEnabledForwarding = true;
  await writeNetworkRecord(recordPath, record);
  await writeFile(FORWARDING, '1');
  log('IPv4 forwarding was off: switched on, so that containers reach the outside');
}
