// Another container engine, to compare with. What is installed is used; what is not, or does not run here, is said to be
// absent, and why.

import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { until } from '../harness.js';
import { descendants } from './pss.js';

/** Shell scripts stay where the sources are. */
const SCRIPTS = fileURLToPath(new URL('../../../test/bench/', import.meta.url));
/** The most that a client prints and is kept. */
const MAX_BUFFER = 1 << 30;

/** How a client is called. */
export interface Command {
  file: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}

/** An engine with the image `base` in it. `close` takes all of it away. */
export interface Peer {
  readonly name: string;
  /** with its parts, for the report */
  readonly version: string;
  /** the command that runs another one in its network namespace */
  readonly enter: readonly string[];
  /** How its client is called. */
  command(...args: string[]): Command;
  /** Its processes, and those of all its containers. */
  pids(): number[];
  close(): Promise<void>;
}

/** Runs the client of an engine to the end: what that prints. With `input` to read, where there is any. */
export async function callPeer(peer: Peer, args: readonly string[], input?: Buffer): Promise<string> {
  const { file, args: words, env } = peer.command(...args);
  const running = promisify(execFile)(file, words, { env, maxBuffer: MAX_BUFFER });
  running.child.stdin?.end(input);
  return (await running).stdout;
}

/** Whether a program is on the PATH. */
export function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, program)));
}

/**
 * The namespaces and the folder in which an engine lives (peer-namespaces.sh). Owns both, and all processes in them: `close`
 * waits until these are gone. The files go as this process ends, as do those of our own daemon.
 */
export class PeerNamespaces {
  readonly folder: string;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  #pid = 0;
  #inner = 0;

  private constructor(folder: string, script: string, args: readonly string[]) {
    this.folder = folder;
    const words = [folder, join(SCRIPTS, script), ...args];
    this.#process = spawn(join(SCRIPTS, 'peer-namespaces.sh'), words, {
      stdio: ['pipe', 'pipe', 'inherit'],
      detached: true,
    });
  }

  /** Runs that script there, as the first process. */
  static async start(name: string, script: string, args: readonly string[] = []): Promise<PeerNamespaces> {
    const folder = await realpath(await mkdtemp(join(tmpdir(), `tsdock-bench-${name}-`)));
    const namespaces = new PeerNamespaces(folder, script, args);
    namespaces.#process.stdout.once('data', (chunk: Buffer) => (namespaces.#pid = Number(chunk.toString())));
    await until(() => namespaces.#pid > 0, `${script} is a process`);
    return namespaces;
  }

  /** the process outside whose child is the first one inside; its network namespace is theirs */
  get pid(): number {
    return this.#pid;
  }

  /** the first process inside: all its namespaces are theirs */
  get inner(): number {
    if (this.#inner === 0) this.#inner = descendants(this.#pid)[0] ?? 0;
    return this.#inner;
  }

  /** of the cgroups as well */
  get name(): string {
    return basename(this.folder);
  }

  /** All processes inside. */
  pids(): number[] {
    return descendants(this.#pid);
  }

  /** Polls until it is ready; rejects with what its log says last where it has ended. */
  async ready(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
    await until(async () => {
      if (!existsSync(`/proc/${this.#pid}`)) throw new Error(this.#lastWords());
      return condition();
    }, what);
  }

  async close(): Promise<void> {
    const ended = once(this.#process.stdout, 'data');
    this.#process.stdin.write('end\n');
    await ended;
    this.#process.stdout.destroy(); // as it is now, it keeps this process from its end no longer
    this.#process.unref();
  }

  #lastWords(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8').trim().split('\n').slice(-3).join('; ');
  }
}
