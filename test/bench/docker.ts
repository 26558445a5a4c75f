// Docker, to compare with: a daemon of its own, as docker-daemon.sh starts it, with its default bridge, and the image
// `base` in it that our own daemon has.
//
// Owns the daemon. `close` ends it and waits until nothing of it is left; the end of this process does the same.

import { execFile, spawn, type ChildProcessByStdio } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { fixtureTar } from '../fixture.js';
import { until } from '../harness.js';

/** Shell scripts stay where the sources are. */
const DAEMON = fileURLToPath(new URL('../../../test/bench/docker-daemon.sh', import.meta.url));

/** See the head of the file. */
export class BenchDocker {
  readonly #folder: string;
  readonly #daemon: ChildProcessByStdio<Writable, Readable, null>;
  #pid = 0;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#daemon = spawn(DAEMON, [folder], { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  }

  /** Undefined where docker is not installed. Rejects where it is, and does not start. */
  static async start(): Promise<BenchDocker | undefined> {
    if (!isInstalled('dockerd') || !isInstalled('docker')) return undefined;
    const docker = new BenchDocker(await realpath(await mkdtemp(join(tmpdir(), 'tsdock-bench-docker-'))));
    try {
      await docker.#begin();
    } catch (error) {
      await docker.close();
      throw error;
    }
    return docker;
  }

  /** The command that runs another one in its network namespace. */
  get enter(): [string, ...string[]] {
    return ['nsenter', `--net=/proc/${this.#pid}/ns/net`];
  }

  /** Runs its client to the end: what that prints. */
  async call(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)('docker', args, { env: this.#environment });
    return stdout;
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#daemon.once('close', resolve));
    this.#daemon.stdin.end();
    await ended;
  }

  async #begin(): Promise<void> {
    this.#daemon.stdout.on('data', (chunk: Buffer) => (this.#pid = Number(chunk.toString())));
    await until(() => this.#pid > 0, 'dockerd is a process');
    await until(async () => {
      if (!existsSync(`/proc/${this.#pid}`)) throw new Error(`Cannot start dockerd: ${this.#lastWords()}`);
      return this.call('version').then(
        () => true,
        () => false, // it does not listen yet
      );
    }, 'dockerd listens');
    const { child } = promisify(execFile)('docker', ['import', '-', 'base'], { env: this.#environment });
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.stdin?.end(fixtureTar());
    await ended;
  }

  get #environment(): NodeJS.ProcessEnv {
    // A configuration of its own: the user's may name helpers and other daemons.
    const own = { DOCKER_HOST: `unix://${this.#folder}/socket`, DOCKER_CONFIG: join(this.#folder, 'client') };
    return { ...process.env, ...own };
  }

  #lastWords(): string {
    return readFileSync(join(this.#folder, 'log'), 'utf8').trim().split('\n').slice(-3).join('; ');
  }
}

function isInstalled(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(join(folder, program)));
}
