// What the tests of the network do with containers: run one that answers, ask one, look at one.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { type TestDaemon, until } from '../harness.js';
import { execute, type Namespace } from './namespace.js';

const SPEAKER = fileURLToPath(new URL('say.js', import.meta.url));
/** How long a question may take where the answer is that there is none, in seconds. */
const SILENCE_S = '1';
/** How soon a daemon that refuses its start has ended, in seconds. */
const REFUSAL_S = '60';
/** How long the right answer may be waited for. */
const ANSWER_MS = 60_000;

/** What `inspect` shows of a container, as far as the tests look at it. */
export interface Inspected {
  State: { Running: boolean; Pid: number };
  Config: { Ports: number[] | null } & Record<string, unknown>;
  NetworkSettings: {
    IpAddress: string;
    IpPrefixLen: number;
    Gateway: string;
    PortMapping: Record<string, string> | null;
  } & Record<string, unknown>;
}

/** Starts a container: its id. */
export async function run(daemon: TestDaemon, ...words: string[]): Promise<string> {
  const reply = await daemon.call('run', ...words);
  assert.match(reply, /^[0-9a-f]{8}\n$/);
  return reply.trim();
}

/** An image like the fixture's, with a netcat that speaks UDP: `udpcat`, the host's own, with what it is linked with. */
export function udpTar(): Buffer {
  const program = execFileSync('sh', ['-c', 'command -v nc']).toString().trim();
  const linked = execFileSync('ldd', [program]).toString();
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  const files = [...libraries.map((path) => ({ path, name: path.slice(1) })), { path: program, name: 'bin/udpcat' }];
  const entries = files.map(({ path, name }) => entry({ name, mode: 0o755, content: readFileSync(path) }));
  return Buffer.concat([...entries, fixtureTar()]);
}

/** Starts a container that says `text` to whoever connects to its port 80: its id. */
export function runServer(daemon: TestDaemon, text: string, ...flags: string[]): Promise<string> {
  return run(daemon, ...flags, 'base', 'nc', '-ll', '-p', '80', '-e', 'echo', text);
}

/** What `inspect` says. */
export async function inspect(daemon: TestDaemon, id: string): Promise<Inspected> {
  return JSON.parse(await daemon.call('inspect', id)) as Inspected; // what the tests then look at
}

/** The address of a running container. */
export async function addressOf(daemon: TestDaemon, id: string): Promise<string> {
  const { IpAddress } = (await inspect(daemon, id)).NetworkSettings;
  assert.match(IpAddress, /^\d+\.\d+\.\d+\.\d+$/);
  return IpAddress;
}

/** The public port of a private one. */
export async function portOf(daemon: TestDaemon, id: string, privatePort = '80'): Promise<string> {
  const reply = await daemon.call('port', id, privatePort);
  assert.match(reply, /^\d+\n$/);
  return reply.trim();
}

/** The command that runs a program of the host in the network of a running container. */
export async function enterOf(daemon: TestDaemon, id: string): Promise<string[]> {
  const { Pid } = (await inspect(daemon, id)).State;
  // Until its program is executed, a child of lxc-start may be one that only prepares it.
  const child = (): string => readFileSync(`/proc/${Pid}/task/${Pid}/children`, 'latin1').trim();
  const isProgram = (): boolean => /^\d+$/.test(child()) && !/^(lxc-start|$)/.test(processName(child()));
  await until(isProgram, `lxc-start ${Pid} has started its container`);
  return ['nsenter', `--net=/proc/${child()}/ns/net`];
}

/** Removes all containers. */
export async function removeAll(daemon: TestDaemon): Promise<void> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  if (ids.length > 0) assert.equal(await daemon.call('rm', '-f', ...ids), '');
}

/** What a TCP port says to whoever connects, asked from where `enter` leads; empty where nobody answers. */
export async function ask(enter: readonly string[], address: string, port: string | number): Promise<string> {
  return execute([...enter, 'nc', '-N', '-n', '-w', SILENCE_S, address, String(port)]).catch(() => '');
}

/** Asks until the right answer comes. */
export async function answers(
  enter: readonly string[],
  address: string,
  port: string | number,
  text: string,
): Promise<void> {
  let last = '';
  await until(
    async () => (last = await ask(enter, address, port)) === `${text}\n`,
    `${address}:${port} says ${text}`,
    ANSWER_MS,
  ).catch((error: unknown) => {
    throw new Error(`${address}:${port} says "${last}" instead of "${text}"`, { cause: error });
  });
}

/** A program of the host that says `text` to whoever connects. Resolves, once it does, with what ends it. */
export async function speaker(namespace: Namespace, address: string, port: string, text: string): Promise<() => void> {
  const child = namespace.spawn(process.execPath, SPEAKER, address, port, text);
  await answers(namespace.enter, address === '0.0.0.0' ? '127.0.0.1' : address, port, text);
  return () => void child.kill('SIGKILL');
}

/** A daemon that is to refuse its start, in the network that `enter` leads to: its one line. */
export async function refusalOf(command: readonly string[]): Promise<string> {
  const said = await execute(['timeout', REFUSAL_S, ...command]).then(
    () => assert.fail(`it did not refuse: ${command.join(' ')}`),
    (error: unknown) => String(error),
  );
  const [, line = ''] = /^Error: Cannot run "[^"]*": (tsdock: [^\n]+)\n$/.exec(said) ?? [];
  assert.notEqual(line, '', `one line: ${said}`);
  return line;
}

/** The command line of a process; empty where it has ended, also while lxc-start has not noticed. */
function processName(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}
