// A real daemon for tests: in a directory of its own, on ports of its own, and gone without a trace afterwards.
//
// `close` removes every container, ends the daemon and then looks for what should not be there any more: mounts,
// processes, folders, cgroups. What it finds it takes away, and fails.

import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { randomInt } from 'node:crypto';
import { connect, createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { fixtureTar } from './fixture.js';
import { mountPointsBelow, umountBelow } from './mounts.js';

/** The compiled program. TSDOCK_PROGRAM names another one to test. */
export const PROGRAM = process.env['TSDOCK_PROGRAM'] ?? fileURLToPath(new URL('../src/tsdock.cjs', import.meta.url));
/** Why a test is skipped that loads a module into the program beside its own; false where that can be done. */
export const CANNOT_PRELOAD =
  basename(dirname(PROGRAM)) === 'single-file' && 'the single executable loads no modules but its own';
/** No test measures by it: a disk that stalls for half a minute is no error. */
const DEADLINE_MS = 60_000;
/** How long a reply may take: 200 containers that are started at once take long on two busy processors. */
const REPLY_MS = 120_000;
/** Where daemons listen: below what connections get by themselves. */
const PORTS = [12_000, 32_000] as const;
const CLEAN_UP_TRIES = 20;
const CLEAN_UP_DELAY_MS = 50;
/** How long what a daemon has killed may take to be gone: it waits for none of it where nothing depends on that. */
const LEAVE_MS = 10_000;

// A test run that is ended from outside cleans up as well: 'exit' comes only where somebody calls for it.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));

/** What a client process did. */
export interface ClientResult {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Where a daemon runs that is to have a network: what of a TestMachine (network/test-machine.ts) it needs. */
export interface TestNetwork {
  /** the command that runs another one there */
  readonly enter: readonly string[];
  /** its address, as this process reaches it */
  readonly address: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Told of a data directory before anything is in it. */
  guard(directory: string): void;
  /** What is mounted below a folder there, where such a daemon has mounts of its own. */
  mountsBelow?(directory: string): string[];
  /** Takes off the machine what is left of an ended daemon that had this data directory. */
  clean(directory: string): Promise<void>;
}

/** How a daemon is started. Without a network of its own it has no bridge. */
export interface TestDaemonOptions {
  args?: string[];
  directory?: string;
  withImage?: boolean;
  network?: TestNetwork;
  /** `close` leaves the files, which go as this process ends: to remove many makes what is timed next slow for minutes */
  keepsFiles?: boolean;
  /** a path where the daemon listens too, and on which `call` and the like then call it: where its port takes TLS only */
  socket?: string;
  /** more of it, for the daemon alone */
  environment?: NodeJS.ProcessEnv;
}

/** See the head of the file. */
export class TestDaemon {
  log = '';
  readonly directory: string;
  tcp = { host: '127.0.0.1', port: 0 };
  http = '';
  readonly #args: readonly string[];
  readonly #network: TestNetwork | undefined;
  readonly #socket: string | undefined;
  readonly #keepsFiles: boolean;
  readonly #environment: NodeJS.ProcessEnv;
  #process: ChildProcess | undefined;
  readonly #onExit = (): void => this.#cleanUp();

  private constructor(directory: string, options: TestDaemonOptions) {
    const { args = [], network, socket, keepsFiles = false, environment = {} } = options;
    this.directory = directory;
    this.#socket = socket;
    this.#keepsFiles = keepsFiles;
    this.#environment = environment;
    this.#args = network === undefined ? ['--bridge', 'none', ...args] : args;
    this.#network = network;
    if (network !== undefined) this.tcp.host = network.address;
    network?.guard(directory);
    process.once('exit', this.#onExit);
  }

  /** Starts a daemon with the image `base` in it, and more arguments where wanted. */
  static async start(options: TestDaemonOptions = {}): Promise<TestDaemon> {
    const directory = options.directory ?? (await realpath(await mkdtemp(join(tmpdir(), 'tsdock-test-'))));
    const daemon = new TestDaemon(directory, options);
    await daemon.begin();
    if (options.withImage !== false) assert.match(await daemon.callWith(fixtureTar(), 'put', 'base'), /^base:/);
    return daemon;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** Whether its process runs. */
  get isAlive(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Starts the process, on the ports of its first start. */
  async begin(): Promise<void> {
    const { host, port } = this.tcp.port === 0 ? { ...this.tcp, port: await freePort() } : this.tcp;
    const http = this.http === '' ? `127.0.0.1:${await freePort(port)}` : this.http;
    const args = [PROGRAM, '-d', '-g', this.directory, '-H', `${host}:${port}`, '--http', http, ...this.#args];
    if (this.#socket !== undefined) args.push('-H', `unix://${this.#socket}`);
    const [command = '', ...words] = [...(this.#network?.enter ?? []), process.execPath, ...args];
    const env = { ...(this.#network?.environment ?? process.env), ...this.#environment };
    const child = spawn(command, words, { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env });
    this.#process = child;
    // A test that fails to close its daemon must end all the same; `#cleanUp` then ends the daemon.
    child.unref();
    if (child.stderr instanceof Socket) child.stderr.unref();
    let began = '';
    child.stderr.on('data', (chunk: Buffer) => {
      began += chunk.toString();
      this.log += chunk.toString();
    });
    await until(() => / on tcp.*: data /.test(began) || !this.isAlive, 'the daemon listens');
    const [, boundPort, boundHttp] = / on tcp(?:\+tls)? [\d.]+:(\d+).*?(?:, https? (\S+))?: data/.exec(began) ?? [];
    assert.ok(boundPort !== undefined, `the daemon did not start: ${began}`);
    this.tcp = { host, port: Number(boundPort) };
    this.http = boundHttp ?? 'off';
  }

  /** Ends the daemon with a signal and waits for that. Resolves with its exit status. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#process;
    if (child === undefined) return null;
    child.ref();
    if (child.stderr instanceof Socket) child.stderr.ref(); // 'close' comes when nobody has it open any more
    const ended = new Promise((resolve) => child.once('close', resolve));
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await ended;
    }
    this.#process = undefined;
    return child.exitCode;
  }

  /** Removes all containers (those that run, where files are kept), ends the daemon, and fails where anything is left behind. */
  async close(): Promise<void> {
    if (this.#process === undefined) await this.begin();
    const ids = (await this.call('ps', '-q', ...(this.#keepsFiles ? [] : ['-a']))).split('\n').filter(Boolean);
    if (ids.length > 0) assert.equal(await this.call('rm', '-f', ...ids), '');
    assert.equal(await this.end(), 0, `the daemon did not end cleanly: ${this.log}`);
    await this.#network?.clean(this.directory);
    if (this.#keepsFiles) umountBelow(this.directory); // which the removal of its containers does elsewhere
    const mounts = (): string[] => this.#network?.mountsBelow?.(this.directory) ?? mountsBelow(this.directory);
    const left = await whatStays(() => [...mounts(), ...processesOf(this.directory), ...cgroupsOf(ids)]);
    if (!this.#keepsFiles) {
      this.#cleanUp();
      process.off('exit', this.#onExit);
    }
    assert.deepEqual(left, [], 'left behind');
  }

  /** Resolves once the daemon has logged it, `from` a place in its log: it does so after it has answered. */
  async logged(pattern: RegExp, from = 0): Promise<void> {
    await until(() => pattern.test(this.log.slice(from)), `the log has ${String(pattern)}`);
  }

  /** A 2013 call without input: the whole reply. */
  call(...words: string[]): Promise<string> {
    return this.callWith('', ...words);
  }

  /** A 2013 call with input, which is half-closed after it: the whole reply. */
  async callWith(input: string | Buffer, ...words: string[]): Promise<string> {
    return (await this.raw(Buffer.concat([Buffer.from(`${JSON.stringify(words)}\n`), Buffer.from(input)]))).toString();
  }

  /** Sends these bytes, half-closes, and reads to the end. */
  async raw(bytes: Buffer | string): Promise<Buffer> {
    const socket = await this.connect();
    socket.end(bytes);
    return readAll(socket);
  }

  /** An open connection to the TCP port, or the socket. */
  async connect(): Promise<Socket> {
    const to = this.#socket === undefined ? this.tcp : { path: this.#socket };
    const socket = connect({ ...to, allowHalfOpen: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => undefined);
    return socket;
  }

  /** Runs the client as a user would, without a terminal. */
  tsdock(args: string[], input: string | Buffer = '', env: NodeJS.ProcessEnv = {}): Promise<ClientResult> {
    const { child, result } = this.client(args, env);
    child.stdin?.on('error', () => undefined); // a client that reads no input
    child.stdin?.end(input);
    return result;
  }

  /** Starts the client and hands its process out. */
  client(args: string[], env: NodeJS.ProcessEnv = {}): { child: ChildProcess; result: Promise<ClientResult> } {
    const DOCKER = `${this.tcp.host}:${this.tcp.port}`;
    const options = { env: { ...process.env, DOCKER, ...env }, maxBuffer: 1 << 30 };
    const started: { child?: ChildProcess } = {};
    const result = new Promise<ClientResult>((resolve) => {
      started.child = execFile(process.execPath, [PROGRAM, ...args], options, (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : null;
        resolve({ status, stdout, stderr });
      });
    });
    assert.ok(started.child);
    return { child: started.child, result };
  }

  /** Resolves once the container is not running. */
  async stopped(id: string): Promise<string> {
    return (await this.call('wait', id)).trim();
  }

  #cleanUp(): void {
    this.#process?.kill('SIGKILL');
    cleanUp(this.directory);
  }
}

/** Kills what belongs to a data directory, unmounts what is mounted below it, and takes it away, with its containers' cgroups. */
export function cleanUp(directory: string): void {
  const containers = join(directory, 'containers');
  const ids = existsSync(containers) ? readdirSync(containers) : [];
  for (const line of processesOf(directory)) {
    try {
      process.kill(Number(line.split(' ')[1]), 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
  umountBelow(directory);
  // What was killed takes a moment to go, and an exit waits for no promise.
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (const line of cgroupsOf(ids)) {
    for (let tries = CLEAN_UP_TRIES; tries > 0 && !isGroupRemoved(line.slice('cgroup '.length)); tries--) {
      Atomics.wait(clock, 0, 0, CLEAN_UP_DELAY_MS);
    }
  }
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: CLEAN_UP_TRIES, retryDelay: CLEAN_UP_DELAY_MS });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    spawnSync('rm', ['-rf', directory]); // node's own calls itself for each folder: a test leaves 10,000 nested ones where it fails
  }
}

/** Removes a cgroup, which goes by rmdir alone, its children first, and not before its last process has gone. */
function isGroupRemoved(group: string): boolean {
  try {
    const children = readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    if (!children.every(({ name }) => isGroupRemoved(join(group, name)))) return false;
    rmdirSync(group);
    return true;
  } catch {
    return !existsSync(group);
  }
}

/**
 * A port of 127.0.0.1 that nothing listens on, and that the kernel gives to no connection while the daemon is away; not
 * `taken`, on which something is to listen soon.
 */
async function freePort(taken = 0): Promise<number> {
  for (;;) {
    const port = randomInt(...PORTS);
    if (port === taken) continue;
    const server = createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** All that comes until the other side ends. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no end of ${Buffer.concat(chunks).toString()}`)), REPLY_MS);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    socket.once('end', done).once('close', done);
  });
  socket.destroy();
  return Buffer.concat(chunks);
}

/** Polls until `condition` holds; fails with `what` after a deadline. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  deadlineMs = DEADLINE_MS,
): Promise<void> {
  const deadline = performance.now() + deadlineMs;
  while (!(await condition())) {
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await sleep(10);
  }
}

/** What of all that `look` finds stays: what has just been killed takes a moment to go. Empty where all goes. */
export async function whatStays(look: () => string[] | Promise<string[]>): Promise<string[]> {
  const deadline = performance.now() + LEAVE_MS;
  let left = await look();
  for (; left.length > 0 && performance.now() < deadline; left = await look()) await sleep(10);
  return left;
}

/** The mounts below a directory, as this process sees them. */
export function mountsBelow(directory: string): string[] {
  return mountPointsBelow(directory).map((path) => `mount ${path}`);
}

/** The lxc-start and holder processes of a data directory. */
export function processesOf(directory: string): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const isLxc = command.startsWith('lxc-start') && command.includes(directory);
      const isHolder = command === 'sleep infinity' && readlinkSync(`/proc/${pid}/fd/1`).startsWith(directory);
      return isLxc || isHolder ? [`process ${pid} ${command}`] : [];
    } catch {
      return []; // it has ended meanwhile
    }
  });
}

/** The cgroups that LXC made for these containers. */
export function cgroupsOf(ids: readonly string[]): string[] {
  const groups = new Set(ids.flatMap((id) => [`lxc.payload.${id}`, `lxc.monitor.${id}`]));
  const root = '/sys/fs/cgroup';
  const parents = [
    root,
    ...readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(root, name)),
  ];
  return parents.flatMap((parent) =>
    namesIn(parent)
      .filter((name) => groups.has(name))
      .map((name) => `cgroup ${join(parent, name)}`),
  );
}

/** None where the cgroup has gone: with cgroup v2 each container has one at the top, and those of other tests come and go. */
function namesIn(cgroup: string): string[] {
  try {
    return readdirSync(cgroup);
  } catch (error) {
    if (existsSync(cgroup)) throw error;
    return [];
  }
}
