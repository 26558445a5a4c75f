// The bridge that the containers of one daemon are joined to: found, or made with an address that nothing else on this
// machine has.
//
// 2013: network.go, newNetworkManager and getIfaceAddr (March's docker0 was made by the start-up scripts)

import { createHash, randomInt } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';
import { step } from '../util/steps.js';
import { formatCidr, macOf, networkRange, overlaps, parseCidr, type Cidr } from './ipv4.js';
import { runTool } from './run-tool.js';

/** A bridge and the address that the host has on it. */
export interface Bridge {
  name: string;
  address: Cidr;
}

/** A bridge that is there. */
export interface FoundBridge {
  /** the first of its IPv4 addresses */
  address: Cidr | undefined;
  /** what `bridgeAlias` gave the daemon that made it; undefined where no daemon did */
  alias: string | undefined;
}

/** A network needs two addresses beside its own and that of broadcasts: the bridge's and a container's. */
export const LONGEST_PREFIX = 30;
/** First bytes of addresses that no interface has for others to reach. */
const LOOPBACK = 127;
const FIRST_MULTICAST = 224;
/** In place of a bridge's name: no network. */
export const NO_BRIDGE = 'none';
/** The bridges that a daemon chooses from where it is not told one. */
export const OWN_BRIDGES = Array.from({ length: 16 }, (_, i) => `tsdock${i}`);
/** What the kernel takes as the name of an interface, without what means something to iptables or in a path. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/;
const ALIAS_PREFIX = 'tsdock:';

/** The private networks of a size that holds any number of containers, those that others rarely use first. */
const CANDIDATES: readonly Cidr[] = [
  ...Array.from({ length: 15 }, (_, i) => `172.${17 + i}.0.1/16`),
  ...Array.from({ length: 256 }, (_, i) => `10.${255 - i}.0.1/16`),
  '192.168.0.1/16',
].flatMap((text) => parseCidr(text) ?? []);

/** What a person has asked for that cannot be, and can ask for otherwise: no reason to go on without a network. */
export class BridgeMistake extends Error {}

/** Whether a host can have the address, in a network with room for containers: not the network's own, nor a special one. */
export function isForBridge({ address, prefixLength }: Cidr): boolean {
  const { first, last } = networkRange({ address, prefixLength });
  const firstByte = address >>> 24;
  const isSpecial = firstByte === 0 || firstByte === LOOPBACK || firstByte >= FIRST_MULTICAST;
  return !isSpecial && prefixLength > 0 && prefixLength <= LONGEST_PREFIX && address !== first && address !== last;
}

/** Whether a bridge can have this name. */
export function isBridgeName(name: string): boolean {
  return NAME.test(name);
}

/** What `ip link` shows of a bridge that the daemon of this data directory made: the kernel keeps it, and nobody else's. */
export function bridgeAlias(directory: string): string {
  return ALIAS_PREFIX + createHash('sha256').update(directory).digest('hex').slice(0, 16);
}

/** Whether it is the alias of a bridge that a daemon made, of any data directory. */
export function isOwnAlias(alias: string): boolean {
  return alias.startsWith(ALIAS_PREFIX);
}

/** The bridge of that name; undefined where there is none. Rejects where something else has the name. */
export async function findBridge(name: string): Promise<FoundBridge | undefined> {
  const links = await ipJson(['-d', 'addr', 'show']);
  const link = links.find(({ ifname }) => ifname === name);
  if (link === undefined) return undefined;
  if (link.linkinfo?.info_kind !== 'bridge') throw new BridgeMistake(`Cannot use "${name}": it is no bridge`);
  const { ifalias = '' } = link;
  return { address: addressesOf(link)[0], alias: ifalias.startsWith(ALIAS_PREFIX) ? ifalias : undefined };
}

/** Makes the bridge. Rejects where it cannot be, with nothing made. */
export async function addBridge({ name, address }: Bridge, alias: string): Promise<void> {
  try {
    await ipBatch([
      // `dev` and `name` before each name: some are words of ip's own.
      // A hardware address of its own: a bridge without one takes that of a container, and changes it with the containers.
      `link add name ${name} address ${macOf(address.address)} type bridge forward_delay 0 stp_state 0`,
      `link set dev ${name} alias ${alias}`,
      `addr add ${formatCidr(address)} broadcast + dev ${name}`,
    ]);
    await forbidIpv6(name);
    await raiseBridge(name);
  } catch (error) {
    const undo = async (): Promise<void> => {
      if ((await findBridge(name))?.alias === alias) await removeBridge(name);
    };
    await undo().catch(() => undefined); // the first error is the one that counts
    throw error;
  }
  step('bridge', 'network.go, newNetworkManager', () => ({ name, address: formatCidr(address) }));
}

/** Gives an existing bridge an address. */
export async function addressBridge({ name, address }: Bridge): Promise<void> {
  await ipBatch([`addr add ${formatCidr(address)} broadcast + dev ${name}`]);
}

/** Switches an existing bridge on. */
export async function raiseBridge(name: string): Promise<void> {
  await ipBatch([`link set dev ${name} up`]);
}

/** Takes the bridge away, with what is joined to it. False where there was none. */
export async function removeBridge(name: string): Promise<boolean> {
  if ((await findBridge(name)) === undefined) return false;
  await ipBatch([`link delete dev ${name} type bridge`]);
  step('bridge', 'network.go, PortMapper.cleanup', () => ({ removed: name }));
  return true;
}

/**
 * A network that nothing on this machine has an address in or a route to: `preferred` where it is one, else the first of
 * the private ones; with `anywhere`, from a random one on. Throws where there is none.
 */
export function freeNetwork(used: readonly Cidr[], preferred: Cidr | undefined, anywhere = false): Cidr {
  const from = anywhere ? randomInt(CANDIDATES.length) : 0;
  const candidates = [preferred ?? [], ...CANDIDATES.slice(from), ...CANDIDATES.slice(0, from)].flat();
  const free = candidates.find((candidate) => !used.some((network) => overlaps(candidate, network)));
  if (free !== undefined) return free;
  throw new Error(
    'No private network of 65,536 addresses is free: each has a route, an interface or a name server of this machine. Choose a network with --bip',
  );
}

/**
 * Whether packets with an address of 127.0.0.0/8 may leave by the bridge, and come from there: what the host sends to a
 * published port of its own 127.0.0.1 goes to the container that way. To be allowed only behind the firewall's rules.
 */
export async function allowLoopback(name: string, isAllowed: boolean): Promise<void> {
  await writeFile(`/proc/sys/net/ipv4/conf/${name}/route_localnet`, isAllowed ? '1' : '0');
}

/**
 * The bridge carries IPv4 only. With IPv6 a container could make itself the default router of the host, by one packet of
 * router advertisement. A kernel without IPv6 has nothing to forbid.
 */
async function forbidIpv6(name: string): Promise<void> {
  await writeFile(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1').catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error;
  });
}

/** Whether another interface has a part of the bridge's network too: another daemon took it in the same moment. */
export async function isShared({ name, address }: Bridge): Promise<boolean> {
  const links = await ipJson(['addr', 'show']);
  return links.some((link) => link.ifname !== name && addressesOf(link).some((other) => overlaps(other, address)));
}

/** Every network that this machine has an address in or a route to, but for the default route, and its name servers. */
export async function networksInUse(): Promise<Cidr[]> {
  const links = await ipJson(['addr', 'show']);
  const routes = await ipJson(['-4', 'route', 'show', 'table', 'all']);
  const nameServers = await readNameServers();
  const destinations = routes.flatMap(({ dst = 'default' }) => parseCidr(dst.includes('/') ? dst : `${dst}/32`) ?? []);
  return [
    ...links.flatMap(addressesOf),
    ...destinations.filter(({ prefixLength }) => prefixLength > 0),
    ...nameServers,
  ];
}

/** Addresses, as networks of one. */
async function readNameServers(): Promise<Cidr[]> {
  const text = await readFile('/etc/resolv.conf', 'latin1').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return '';
    throw error;
  });
  return [...text.matchAll(/^nameserver\s+(\S+)/gm)].flatMap(([, server = '']) => parseCidr(`${server}/32`) ?? []);
}

/** What is read of the JSON that `ip` prints. */
interface IpLink {
  ifname: string;
  ifalias?: string;
  linkinfo?: { info_kind?: string };
  addr_info?: { family?: string; local?: string; prefixlen?: number }[];
  dst?: string;
}

async function ipJson(args: readonly string[]): Promise<IpLink[]> {
  const text = await runTool('ip', ['-j', ...args]);
  return JSON.parse(text.trim() || '[]') as IpLink[]; // it has been printed by `ip` for programs to read
}

/** Several commands of `ip` in one process; the first that fails ends it. */
async function ipBatch(commands: readonly string[]): Promise<void> {
  await runTool('ip', ['-batch', '-'], `${commands.join('\n')}\n`);
}

function addressesOf({ addr_info: list = [] }: IpLink): Cidr[] {
  const own = list.filter(({ family }) => family === 'inet');
  return own.flatMap(({ local = '', prefixlen = 32 }) => parseCidr(`${local}/${prefixlen}`) ?? []);
}
