// The network of all containers of one daemon: gives each start of a container an interface on the bridge, with an address
// and published ports that nobody else has, and takes it back.
//
// A machine that cannot have bridges or filter packets is no reason not to start: there is no network then, and whoever
// asks for one is told why.
//
// 2013: network.go, NetworkManager

import { networkInterfaces } from 'node:os';
import { errorMessage } from '../util/errors.js';
import type { IpAddress } from '../util/ip-address.js';
import { step } from '../util/steps.js';
import {
  BridgeMistake,
  isBridgeName,
  isForBridge,
  isOwnAlias,
  LONGEST_PREFIX,
  NO_BRIDGE,
  type Bridge,
} from './bridge.js';
import { BridgeRoom } from './bridge-room.js';
import { publishPorts, type PortMapping } from './firewall.js';
import { IPAllocator } from './ip-allocator.js';
import { formatCidr, formatIpv4, networkRange, parseCidr, parseIpv4, type Cidr } from './ipv4.js';
import { findLink } from './links.js';
import { readNetworkRecord } from './network-record.js';
import { forgetBridges, openBridge, type OpenBridge } from './open-bridge.js';
import { PortAllocator } from './port-allocator.js';
import { PortMapper } from './port-mapper.js';
import { formatPortSpec, type PortSpec } from './port-spec.js';
import type { NetworkInterface } from './network-interface.js';
import { containerResolvConf, readResolvConf } from './resolv-conf.js';
import { routeTo } from './route-to.js';

/** How the daemon's network is to be. */
export interface NetworkOptions {
  /** the name of the bridge, or `none`; empty for one of the daemon's own choice */
  bridge: string;
  /** the bridge's address, `a.b.c.d/n`; empty for the one that it has, or a free one */
  bip: string;
  /** the file that says what was made, absolute */
  recordPath: string;
  log: (line: string) => void;
}

/** The bridge that containers join. */
interface Network {
  readonly bridge: Bridge;
  readonly room: BridgeRoom;
  readonly addresses: IPAllocator;
}

/** See the head of the file. */
export class NetworkManager {
  readonly #network: Network | undefined;
  /** why there is no network */
  readonly #problem: string;
  readonly #log: (line: string) => void;
  readonly #ports = new PortAllocator();
  /** by the name of the bridge: containers may still run on one that an earlier daemon was told to use */
  readonly #mappers = new Map<string, PortMapper>();
  /** bridges of earlier daemons */
  readonly #others: readonly string[];
  /** what is given, and what leads to it */
  readonly #interfaces = new Map<NetworkInterface, readonly PortMapping[]>();
  /** what was said last of the name servers */
  #said = '';

  private constructor(
    options: NetworkOptions,
    opened: OpenBridge | undefined,
    problem: string,
    recorded: readonly string[],
  ) {
    this.#problem = problem;
    this.#log = options.log;
    this.#others = recorded.filter((name) => name !== opened?.bridge.name);
    if (opened === undefined) return;
    const { bridge, firewall } = opened;
    const addresses = new IPAllocator(bridge.address);
    for (const address of hostAddresses()) addresses.claim(address);
    this.#network = { bridge, room: new BridgeRoom(bridge.name), addresses };
    this.#mappers.set(bridge.name, new PortMapper(firewall, options.log));
  }

  /** Makes the bridge ready, or says in the log why there is none. Rejects for options that cannot be. 2013: newNetworkManager */
  static async open(options: NetworkOptions): Promise<NetworkManager> {
    const { bridge: name, bip, recordPath, log } = options;
    const wanted = checkOptions(name, bip);
    const recorded = (await readNetworkRecord(recordPath)).bridges.map((bridge) => bridge.name);
    if (name === NO_BRIDGE) {
      return new NetworkManager(options, undefined, 'the daemon was started with --bridge none', recorded);
    }
    try {
      return new NetworkManager(options, await openBridge({ name, wanted, recordPath, log }), '', recorded);
    } catch (error) {
      if (error instanceof BridgeMistake) throw error;
      const problem = errorMessage(error);
      log(`containers have no network: ${problem}`);
      return new NetworkManager(options, undefined, problem, recorded);
    }
  }

  /** Whether there is a network to join. */
  get isThere(): boolean {
    return this.#network !== undefined;
  }

  /** In one line, for people. */
  toString(): string {
    if (this.#network === undefined) return `none (${this.#problem})`;
    const { name, address } = this.#network.bridge;
    return `${name} ${formatCidr(address)}`;
  }

  /**
   * An interface for the container `owner`, with an address of its own, and with these ports published. Rejects, with
   * nothing taken, where it cannot be. 2013: NetworkManager.Allocate and NetworkInterface.AllocatePort
   */
  async allocate(owner: string, specs: readonly PortSpec[]): Promise<NetworkInterface> {
    if (this.#network === undefined) throw new Error(`Cannot join a network: ${this.#problem}`);
    const { bridge, room, addresses } = this.#network;
    room.take(this.#interfaces.size);
    const address = addresses.acquire();
    const given: NetworkInterface = {
      bridge: bridge.name,
      address: { address, prefixLength: bridge.address.prefixLength },
      gateway: bridge.address.address,
      ports: [],
    };
    this.#interfaces.set(given, []);
    try {
      given.ports = await this.#ports.acquire(owner, specs);
      const mappings = mappingsOf(given);
      await this.#mapperOf(bridge.name).map(mappings);
      this.#interfaces.set(given, mappings);
    } catch (error) {
      this.#ports.release(given.ports);
      addresses.release(address);
      this.#interfaces.delete(given);
      throw error;
    }
    step('network', 'network.go, NetworkManager.Allocate', () => ({
      owner,
      address: formatIpv4(address),
      ports: given.ports.map(formatPortSpec),
    }));
    return given;
  }

  /** The text of a container's resolv.conf. What it changes of the host's is said in the log, once. */
  resolvConf(isHostNetwork: boolean): string {
    const { hostText, upstreamText } = readResolvConf();
    if (isHostNetwork) return hostText;
    const { text, replaced, usedFallback } = containerResolvConf(hostText, upstreamText);
    const said = `name servers that containers cannot reach: ${replaced.join(', ')}`;
    if (replaced.length > 0 && said !== this.#said) {
      this.#said = said;
      this.#log(`${said}; they get ${usedFallback ? 'public ones' : 'the others'} instead`);
    }
    return text;
  }

  /** Puts on record what a running container of an earlier daemon has. `ready` publishes it. */
  async adopt(owner: string, given: NetworkInterface): Promise<void> {
    const mappings = mappingsOf(given);
    this.#interfaces.set(given, mappings);
    const { bridge, addresses } = this.#network ?? {};
    if (given.bridge === bridge?.name) addresses?.claim(given.address.address);
    else if (bridge !== undefined)
      this.#log(`container ${owner} runs on bridge ${given.bridge}, not on ${bridge.name}`);
    if (mappings.length > 0) this.#mapperOf(given.bridge).claim(mappings);
    await this.#ports.claim(owner, given.ports, this.#log);
  }

  /** All running containers are on record: what is published for others is not any more. Never rejects: the log is told. */
  async ready(): Promise<void> {
    try {
      const inUse = new Set([...this.#interfaces.keys()].map(({ bridge }) => bridge));
      await forgetBridges(this.#others.filter((name) => !inUse.has(name)));
      await Promise.all([...this.#mappers.values()].map((mapper) => mapper.ready()));
    } catch (error) {
      this.#log(errorMessage(error));
    }
  }

  /** Takes back what `allocate` gave or `adopt` was given. Never rejects: the log is told. 2013: NetworkInterface.Release */
  async release(given: NetworkInterface): Promise<void> {
    const mappings = this.#interfaces.get(given) ?? [];
    const { address } = given.address;
    try {
      if (mappings.length > 0) await this.#mapperOf(given.bridge).unmap(mappings);
    } catch (error) {
      this.#log(`cannot take back the ports of ${formatIpv4(address)} yet: ${errorMessage(error)}`);
    }
    this.#interfaces.delete(given);
    this.#ports.release(given.ports);
    if (given.bridge === this.#network?.bridge.name) this.#network.addresses.release(address);
  }

  /**
   * Whether it is the address of a container, or of something else that is not this machine on a bridge for containers: in the
   * bridge's network, or reached by a bridge that a daemon of ours made or works with.
   */
  isContainerAddress(address: IpAddress): boolean {
    const own = this.#network?.bridge.address;
    if (own !== undefined && address.bytes.length === 4) {
      const { first, last } = networkRange(own);
      const number = address.bytes.readUInt32BE();
      if (number >= first && number <= last) return true;
    }
    const link = findLink(routeTo(address)?.interface);
    return (
      link !== undefined && (isOwnAlias(link.alias) || [...this.#mappers.keys(), ...this.#others].includes(link.name))
    );
  }

  /** Of a bridge that others do not join any more, only the ports are still to be written. */
  #mapperOf(bridge: string): PortMapper {
    const known = this.#mappers.get(bridge);
    if (known !== undefined) return known;
    const mapper = new PortMapper({ publish: (mappings) => publishPorts(bridge, mappings) }, this.#log);
    this.#mappers.set(bridge, mapper);
    return mapper;
  }
}

/** The wanted address. Throws for what a person has written wrong. */
function checkOptions(name: string, bip: string): Cidr | undefined {
  if (name !== '' && !isBridgeName(name)) {
    throw new Error(`Cannot use "${name}" as the name of a bridge: expected 1 to 15 of A-Z a-z 0-9 _ . -`);
  }
  if (bip === '') return undefined;
  const wanted = parseCidr(bip);
  if (wanted !== undefined && isForBridge(wanted)) return wanted;
  const expected = `one of a network for containers, with a prefix of at most ${LONGEST_PREFIX}, as 172.30.0.1/16`;
  throw new Error(`Cannot give the bridge the address "${bip}": expected ${expected}`);
}

/** Every IPv4 address of this machine. */
function hostAddresses(): number[] {
  const all = Object.values(networkInterfaces()).flatMap((list = []) => list);
  return all.flatMap(({ address }) => parseIpv4(address) ?? []);
}

function mappingsOf({ address, ports }: NetworkInterface): PortMapping[] {
  return ports.map((port) => ({ ...port, containerAddress: address.address }));
}
