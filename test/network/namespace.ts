// A network namespace that plays a machine, with mounts of its own. It is held by a process of its own, which ends it, with everything in it, when
// `close` is called or the test dies, however it dies.

import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { until } from '../harness.js';
import { mountPointsBelow } from '../mounts.js';

const HOLDER = fileURLToPath(new URL('hold-namespace.js', import.meta.url));
const EXEC_TIMEOUT_MS = 120_000;

/** See the head of the file. */
export class Namespace {
  readonly #holder: ChildProcessByStdio<Writable, Readable, Readable>;

  private constructor(holder: ChildProcessByStdio<Writable, Readable, Readable>) {
    this.#holder = holder;
  }

  /** Makes the namespace, with its loopback interface up and nothing else. */
  static async start(): Promise<Namespace> {
    // Detached: Ctrl-C at a terminal goes to the test, and the holder cleans up after it.
    const holder = spawn('unshare', ['--net', '--mount', process.execPath, HOLDER], { stdio: 'pipe', detached: true });
    let said = '';
    holder.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    holder.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    holder.stdin.on('error', () => undefined); // it has ended, which `until` finds
    await until(() => said === 'ready\n' || holder.exitCode !== null, 'the namespace is there');
    assert.equal(said, 'ready\n');
    // A test that does not close its namespace ends all the same.
    holder.unref();
    for (const stream of [holder.stdin, holder.stdout, holder.stderr]) if (stream instanceof Socket) stream.unref();
    const namespace = new Namespace(holder);
    await namespace.exec('ip', 'link', 'set', 'lo', 'up');
    return namespace;
  }

  /** The process that holds it: what `ip link ... netns PID` wants. */
  get pid(): number {
    return this.#holder.pid ?? 0;
  }

  /** The command that runs another one in there, which starts in the root folder. */
  get enter(): [string, ...string[]] {
    return ['nsenter', `--net=/proc/${this.pid}/ns/net`, `--mount=/proc/${this.pid}/ns/mnt`];
  }

  /** The mount points below a folder, as they are seen in there. */
  mountsBelow(folder: string): string[] {
    return mountPointsBelow(folder, this.pid);
  }

  /** A folder that has to go with the namespace, with what runs and what is mounted there. */
  guard(folder: string): void {
    this.#holder.stdin.write(`${folder}\n`);
  }

  /** Runs a program in there to its end: what it prints. Rejects with what it complains of where it fails. */
  exec(program: string, ...args: string[]): Promise<string> {
    return execute([...this.enter, program, ...args]);
  }

  /** Starts a program in there, with a pipe as its input. The end of the namespace ends it at the latest. */
  spawn(program: string, ...args: string[]): ChildProcess {
    const [command, ...words] = [...this.enter, program, ...args];
    const child = spawn(command, words, { stdio: ['pipe', 'ignore', 'inherit'] });
    child.unref();
    if (child.stdin instanceof Socket) child.stdin.unref();
    return child;
  }

  /** Many `ip` commands at once. */
  async ip(...lines: string[]): Promise<void> {
    await execute([...this.enter, 'ip', '-batch', '-'], `${lines.join('\n')}\n`);
  }

  /** The names of the interfaces there. */
  async links(): Promise<string[]> {
    const found = JSON.parse(await this.exec('ip', '-json', 'link')) as { ifname: string }[]; // iproute2's own format
    return found.map(({ ifname }) => ifname);
  }

  /** Ends it and everything in it. */
  async close(): Promise<void> {
    const holder = this.#holder;
    if (holder.exitCode !== null) return;
    holder.ref();
    const ended = new Promise((resolve) => holder.once('close', resolve));
    holder.stdin.end();
    await ended;
    assert.equal(holder.exitCode, 0, 'the holder of the namespace ended cleanly');
  }
}

/** Runs a command to its end, with input where it is given: what it prints. Rejects with what it complains of. */
export function execute([program = '', ...args]: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { timeout: EXEC_TIMEOUT_MS, maxBuffer: 1 << 26 };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`Cannot run "${program} ${args.join(' ')}": ${stderr || error.message}`));
    });
    child.stdin?.on('error', () => undefined); // a program that reads no input
    child.stdin?.end(input);
  });
}
