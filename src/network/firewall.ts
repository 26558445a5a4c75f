// The packet filter's part of a bridge: forwarding, masquerading, and the published ports, in five chains of our own.
//
// `iptables` writes them, whichever back end it has on this machine (nf_tables or legacy). A chain is always written
// whole, in one transaction: what stood in it before, also from an earlier daemon, is gone, and nothing is ever half there.
// The rules of running containers so survive the end of the daemon, and are found again by the names of the chains.
//
// 2013: network.go, PortMapper.setup, PortMapper.cleanup and PortMapper.iptablesForward (one chain, one call of iptables
// for each rule)

import { errorMessage } from '../util/errors.js';
import { timedStep } from '../util/steps.js';
import { formatCidr, formatIpv4, networkRange, type Cidr } from './ipv4.js';
import type { PortBinding } from './port-spec.js';
import { runTool } from './run-tool.js';

/** Where a published port leads. */
export interface PortMapping extends PortBinding {
  /** of the container */
  containerAddress: number;
}

/** How long to wait for the lock of another iptables, in seconds. */
const WAIT = ['-w', '10'];
const LOOPBACK = '127.0.0.0/8';

/** Our chains of one bridge, and from which chain of the kernel's each is reached. */
function chainsOf(bridge: string): { nat: Chain[]; filter: Chain[] } {
  const ports = `TSDOCK-${bridge}`;
  return {
    nat: [
      // The jump leaves 127.0.0.0/8 out where packets come in from outside: a neighbour could send them here, to ports
      // that are published for this machine alone.
      { name: ports, from: 'PREROUTING', match: `! -d ${LOOPBACK} -m addrtype --dst-type LOCAL `, keepsRules: true },
      { name: ports, from: 'OUTPUT', match: '-m addrtype --dst-type LOCAL ', keepsRules: true },
      { name: `TSDOCK-POST-${bridge}`, from: 'POSTROUTING', match: '' },
    ],
    filter: [
      { name: `TSDOCK-OUT-${bridge}`, from: 'FORWARD', match: '', isBehindOthers: true },
      { name: `TSDOCK-FWD-${bridge}`, from: 'FORWARD', match: '' },
      { name: `TSDOCK-IN-${bridge}`, from: 'INPUT', match: `-i ${bridge} ` },
    ],
  };
}

interface Chain {
  name: string;
  from: string;
  /** what a packet must be to be sent into it */
  match: string;
  /** it comes behind what keeps packets out of the bridges of other daemons, too */
  isBehindOthers?: boolean;
  /** where it is there already, its rules stay */
  keepsRules?: boolean;
}

/** See the head of the file. */
export class Firewall {
  readonly #bridge: string;
  readonly #network: Cidr;

  constructor(bridge: string, network: Cidr) {
    this.#bridge = bridge;
    this.#network = network;
  }

  /**
   * Writes all chains and the ways into them. Ports that an earlier daemon published stay as they are, until `publish` says
   * which they are now. Rejects where the machine cannot do it.
   */
  async setUp(): Promise<void> {
    const { nat, filter } = chainsOf(this.#bridge);
    const saved = await runTool('iptables-save', []);
    await restore('firewall', 'network.go, PortMapper.setup', [
      ...table('nat', [...jumps(saved, nat), ...this.#masquerade()]),
      ...table('filter', [...jumps(saved, filter), ...this.#forward(), ...this.#input()]),
    ]);
  }

  /** Publishes these ports, and no others. Sets everything up again where somebody has emptied the machine's chains. */
  async publish(mappings: readonly PortMapping[]): Promise<void> {
    const saved = await runTool('iptables-save', []);
    const { nat, filter } = chainsOf(this.#bridge);
    const isWhole = [...nat, ...filter].every(({ name, from }) =>
      saved.split('\n').some((line) => line.startsWith(`-A ${from} `) && line.endsWith(` -j ${name}`)),
    );
    if (!isWhole) await this.setUp();
    await publishPorts(this.#bridge, mappings);
  }

  #masquerade(): string[] {
    const bridge = this.#bridge;
    const network = formatCidr({ ...this.#network, address: networkRange(this.#network).first });
    const chain = `-A TSDOCK-POST-${bridge}`;
    return [
      // What this machine sends to itself keeps its address and port: the daemon finds a caller by them.
      `${chain} -o lo -j RETURN`,
      // To the outside, with the address of this machine.
      `${chain} -s ${network} ! -o ${bridge} -j MASQUERADE`,
      // DIFFERS D26: published ports did not answer on the host itself.
      // From this machine's 127.0.0.1 to a published port: a container cannot answer that address.
      `${chain} -s ${LOOPBACK} -o ${bridge} -j MASQUERADE`,
      // From a container to a published port of its own bridge: the answer must come back through this machine.
      `${chain} -s ${network} -o ${bridge} -m conntrack --ctstate DNAT -j MASQUERADE`,
    ];
  }

  #forward(): string[] {
    const bridge = this.#bridge;
    const chain = `-A TSDOCK-FWD-${bridge}`;
    return [
      `${chain} -o ${bridge} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
      `${chain} -o ${bridge} -m conntrack --ctstate DNAT -j ACCEPT`,
      `${chain} -i ${bridge} -o ${bridge} -j ACCEPT`,
      // DIFFERS D27: in 2013 every port of every container was open to whoever had a route.
      // What is not published is not reached from another machine, also not by one that has a route here.
      `${chain} -o ${bridge} -j DROP`,
      `-A TSDOCK-OUT-${bridge} -i ${bridge} -j ACCEPT`,
    ];
  }

  #input(): string[] {
    const chain = `-A TSDOCK-IN-${this.#bridge}`;
    return [
      // 127.0.0.1 of this machine leads to containers only because the bridge may carry such addresses; a container must
      // not get to what listens there by the same way, nor speak as if it were this machine.
      `${chain} -d ${LOOPBACK} -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP`,
      `${chain} -s ${LOOPBACK} -j DROP`,
    ];
  }
}

/** Writes which ports lead into a bridge, and nothing else: its chains are there. 2013: PortMapper.iptablesForward */
export async function publishPorts(bridge: string, mappings: readonly PortMapping[]): Promise<void> {
  const chain = `TSDOCK-${bridge}`;
  const rules = mappings.map((mapping) => {
    const { hostAddress, publicPort, privatePort, protocol, containerAddress } = mapping;
    const where = hostAddress === '' ? '' : `-d ${hostAddress} `;
    const target = `${formatIpv4(containerAddress)}:${privatePort}`;
    return `-A ${chain} ${where}-p ${protocol} -m ${protocol} --dport ${publicPort} -j DNAT --to-destination ${target}`;
  });
  const lines = table('nat', [`:${chain} - [0:0]`, ...rules]);
  await restore('publish', 'network.go, PortMapper.iptablesForward', lines);
}

/**
 * Takes the chains of a bridge away, and the ways into them, in each back end that is here. False where there were none.
 * Rejects with what keeps them from going. 2013: PortMapper.cleanup
 */
export async function removeChains(bridge: string): Promise<boolean> {
  let isFound = false;
  for (const backEnd of ['iptables', 'iptables-nft', 'iptables-legacy']) {
    const saved = await runTool(`${backEnd}-save`, []).catch((error: unknown) => {
      if (errorMessage(error).endsWith('not installed')) return '';
      throw error;
    });
    const lines = Object.entries(chainsOf(bridge)).flatMap(([tableName, chains]) => {
      const there = chains.filter(({ name }) => saved.includes(`\n:${name} `));
      if (there.length === 0) return [];
      const names = [...new Set(there.map(({ name }) => name))];
      return table(tableName, [
        ...oldJumps(saved, there),
        ...names.map((name) => `-F ${name}`),
        ...names.map((name) => `-X ${name}`),
      ]);
    });
    if (lines.length === 0) continue;
    await restore('firewall', 'network.go, PortMapper.cleanup', lines, backEnd);
    isFound = true;
  }
  return isFound;
}

function restore(name: string, source: string, lines: readonly string[], backEnd = 'iptables'): Promise<unknown> {
  const input = `${lines.join('\n')}\n`;
  const run = (): Promise<string> => runTool(`${backEnd}-restore`, ['--noflush', ...WAIT], input);
  return timedStep(name, source, () => ({ rules: lines }), run);
}

function table(name: string, lines: readonly string[]): string[] {
  return [`*${name}`, ...lines, 'COMMIT'];
}

/** Makes or empties the chains, and leads into each of them by one jump, the first in its chain of the kernel's. */
function jumps(saved: string, chains: readonly Chain[]): string[] {
  const names = new Set(chains.map(({ name }) => name));
  const written = chains.filter(({ name, keepsRules }) => !keepsRules || !saved.includes(`\n:${name} `));
  return [
    ...new Set(written.map(({ name }) => `:${name} - [0:0]`)),
    ...oldJumps(saved, chains),
    ...chains.map(({ name, from, match, isBehindOthers }) => {
      const position = isBehindOthers === true ? barrierEnd(saved, names) : 1;
      return `-I ${from} ${position} ${match}-j ${name}`;
    }),
  ];
}

/** The position in FORWARD behind the last jump into a chain that keeps packets out of a bridge; `own` jumps have gone by then. */
function barrierEnd(saved: string, own: ReadonlySet<string>): number {
  const targets = [...saved.matchAll(/^-A FORWARD (?:.* )?-j (\S+)/gm)].map(([, target = '']) => target);
  return targets.filter((target) => !own.has(target)).findLastIndex((target) => target.startsWith('TSDOCK-FWD-')) + 2;
}

/** Takes away the jumps that are there, whatever a packet had to be for them. */
function oldJumps(saved: string, chains: readonly Chain[]): string[] {
  const names = new Set(chains.map(({ name }) => name));
  return saved.split('\n').flatMap((line) => {
    const [, rule = '', target = ''] = /^-A (.* -j (\S+))$/.exec(line) ?? [];
    return names.has(target) ? [`-D ${rule}`] : [];
  });
}
