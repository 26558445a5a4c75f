// A machine for daemons that have a network: a network namespace that this process reaches at one address, with other
// machines beside it where a test wants them.
//
// The veth pair to this process's own namespace gets its name and its addresses from one number. The kernel lets nobody
// make an interface whose name is taken, so test files that run side by side never share a range.
//
// `close` fails where a daemon left something in the namespace: an interface, a chain.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM, TestDaemon, whatStays, type TestDaemonOptions, type TestNetwork } from '../harness.js';
import { Namespace } from './namespace.js';

/** Which iptables a daemon finds: one of a back end, the machine's own, or none. */
export type Iptables = 'nft' | 'legacy' | 'own' | 'none';

const PATH = process.env['PATH'] ?? '';
const IPTABLES = ['iptables', 'iptables-save', 'iptables-restore'];
/** All that writes the packet filter's rules. */
const FILTERS = /^(ip6?tables|xtables|nft|ebtables|arptables)/;
/** Of 198.18.0.0/15, which is for tests of networks, in networks of four addresses. */
const RANGES = 32_768;
/** Where `outside` lies: an address to which only the default route leads. */
const OUTSIDE = '203.0.113.7';

/** Another machine on the LAN of a TestMachine. It has no route to what is behind that one. */
export interface Neighbour {
  namespace: Namespace;
  address: string;
  /** of the TestMachine on that LAN */
  machineAddress: string;
  /** the interface of the TestMachine on that LAN */
  link: string;
  /** another address that it answers, for one that is far away */
  outside: string;
}

/** Whether this machine has a back end of iptables. */
export function hasIptables(backEnd: 'nft' | 'legacy'): boolean {
  return pathOf(`xtables-${backEnd}-multi`) !== undefined;
}

/** See the head of the file. */
export class TestMachine implements TestNetwork {
  readonly namespace: Namespace;
  readonly address: string;
  readonly environment: NodeJS.ProcessEnv;
  /** the interface of this side on the way there */
  readonly #link: string;
  readonly #folder: string;
  readonly #backEnds: ('nft' | 'legacy')[];
  #ownLinks: string[] = [];
  #neighbours: Neighbour[] = [];

  private constructor(namespace: Namespace, link: string, address: string, folder: string, iptables: Iptables) {
    this.namespace = namespace;
    this.#link = link;
    this.address = address;
    this.#folder = folder;
    this.#backEnds = iptables === 'none' ? [] : (['nft', 'legacy'] as const).filter(hasIptables);
    if (iptables === 'nft' || iptables === 'legacy') this.useIptables(iptables);
    this.environment = { ...process.env, PATH: `${folder}:${PATH}` };
  }

  /** Makes the machine, which has no network but the way here. */
  static async start(options: { iptables?: Iptables } = {}): Promise<TestMachine> {
    const namespace = await Namespace.start();
    const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-machine-'));
    namespace.guard(folder);
    const { name, own, other } = joinTo(namespace.pid);
    execFileSync('ip', ['-batch', '-'], { input: `addr add ${own}/30 dev ${name}\nlink set ${name} up\n` });
    await namespace.ip(`addr add ${other}/30 dev up0`, 'link set up0 up');
    const machine = new TestMachine(namespace, name, other, folder, options.iptables ?? 'own');
    machine.#ownLinks = await namespace.links();
    if (options.iptables === 'none') await hideFilters(namespace, folder);
    return machine;
  }

  get enter(): readonly string[] {
    return this.namespace.enter;
  }

  /** From now on this one comes first on the PATH. */
  useIptables(backEnd: 'nft' | 'legacy'): void {
    const program = pathOf(`xtables-${backEnd}-multi`);
    assert.ok(program !== undefined, `this machine has no iptables of ${backEnd}`);
    for (const name of IPTABLES) {
      rmSync(join(this.#folder, name), { force: true });
      symlinkSync(program, join(this.#folder, name));
    }
  }

  /** Starts a daemon there, with the image `base`. */
  daemon(options: Omit<TestDaemonOptions, 'network'> = {}): Promise<TestDaemon> {
    return TestDaemon.start({ ...options, network: this });
  }

  /** Runs a program there, as a user of the machine would: what it prints. */
  exec(program: string, ...args: string[]): Promise<string> {
    return this.namespace.exec('env', `PATH=${this.environment['PATH'] ?? ''}`, program, ...args);
  }

  /** The interfaces that came after the machine was made. */
  async links(): Promise<string[]> {
    return (await this.namespace.links()).filter((name) => !this.#ownLinks.includes(name));
  }

  /** Every line of the packet filter that has to do with us, whichever back end it stands in, in order of the text. */
  async chains(): Promise<string[]> {
    const saved = await Promise.all(
      this.#backEnds.map((backEnd) => this.namespace.exec(`xtables-${backEnd}-multi`, 'iptables-save')),
    );
    return saved.flatMap((text) => text.split('\n').filter((line) => line.includes('TSDOCK'))).sort();
  }

  /** Another machine on a LAN of this one; `isGateway`: this one sends there whatever it knows no other way for. */
  async neighbour({ isGateway = false } = {}): Promise<Neighbour> {
    const number = this.#neighbours.length;
    const [address, machineAddress] = [`10.99.${number}.2`, `10.99.${number}.1`];
    const link = `lan${number}`;
    const namespace = await Namespace.start();
    const neighbour = { namespace, address, machineAddress, link, outside: OUTSIDE };
    this.#neighbours.push(neighbour);
    await this.namespace.ip(
      `link add ${link} type veth peer name eth0 netns ${namespace.pid}`,
      `addr add ${machineAddress}/24 dev ${link}`,
      `link set ${link} up`,
    );
    this.#ownLinks.push(link);
    await namespace.ip(`addr add ${address}/24 dev eth0`, `addr add ${OUTSIDE}/32 dev lo`, 'link set eth0 up');
    if (isGateway) await this.namespace.ip(`route add default via ${address}`);
    return neighbour;
  }

  guard(directory: string): void {
    this.namespace.guard(directory);
  }

  mountsBelow(directory: string): string[] {
    return this.namespace.mountsBelow(directory);
  }

  async clean(directory: string): Promise<void> {
    await this.exec(process.execPath, PROGRAM, '-d', '--clean', '-g', directory);
  }

  /** Ends the machine, and fails where something of a daemon is still in it. */
  async close(): Promise<void> {
    // The kernel takes the interfaces of a container away some time after its last process.
    const left = await whatStays(async () => [...(await this.links()), ...(await this.chains())]);
    for (const { namespace } of this.#neighbours) await namespace.close();
    // The kernel would do it, but for a connection whose other end does not read only in some minutes.
    spawnSync('ip', ['link', 'del', this.#link], { stdio: 'ignore' });
    await this.namespace.close();
    assert.deepEqual(left, [], 'left behind');
  }
}

/** Makes a veth pair from here to the namespace of a process: its name here, and the addresses of both ends. */
function joinTo(pid: number): { name: string; own: string; other: string } {
  for (let tries = 0; tries < RANGES; tries++) {
    const range = (process.pid + tries * 7919) % RANGES; // a prime: two that begin at one place part at once
    const name = `tstd${range}`;
    if (existsSync(`/sys/class/net/${name}`)) continue;
    try {
      const peer = ['peer', 'name', 'up0', 'netns', String(pid)];
      execFileSync('ip', ['link', 'add', name, 'type', 'veth', ...peer], { stdio: ['ignore', 'ignore', 'pipe'] });
    } catch (error) {
      if (String(error).includes('File exists')) continue; // somebody was quicker
      throw error;
    }
    const first = `198.${18 + (range >> 14)}.${(range >> 6) & 255}.`;
    const last = (range & 63) * 4;
    return { name, own: `${first}${last + 1}`, other: `${first}${last + 2}` };
  }
  throw new Error('Cannot join the machine: every range of 198.18.0.0/15 is taken');
}

/** Takes the programs that write the packet filter's rules away in there: an upper layer has them deleted. */
async function hideFilters(namespace: Namespace, folder: string): Promise<void> {
  const directories = new Set(
    [...PATH.split(':'), '/usr/sbin', '/sbin'].filter(existsSync).map((path) => realpathSync(path)),
  );
  for (const directory of directories) {
    const names = readdirSync(directory).filter((name) => FILTERS.test(name));
    if (names.length === 0) continue;
    const layer = mkdtempSync(join(folder, 'layer-'));
    for (const name of names) execFileSync('mknod', [join(layer, name), 'c', '0', '0']);
    await namespace.exec('mount', '-t', 'overlay', 'overlay', '-o', `ro,lowerdir=${layer}:${directory}`, directory);
  }
}

function pathOf(program: string): string | undefined {
  return PATH.split(':')
    .map((directory) => join(directory, program))
    .find((path) => existsSync(path));
}
