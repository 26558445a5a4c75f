// A real daemon whose calls to the kernel fail when a test wants it: `preload.ts` is in it.

import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readAll, TestDaemon, type TestDaemonOptions } from '../harness.js';
import type { Outcome, Plan } from './plan.js';

/** How long a daemon must have made no call that counts to be done with what it was told, in milliseconds. */
const QUIET_MS = 40;

/** See the head of the file. */
export class FaultyDaemon {
  readonly daemon: TestDaemon;
  readonly #socket: string;

  private constructor(daemon: TestDaemon, socket: string) {
    this.daemon = daemon;
    this.#socket = socket;
  }

  static async start(options: Omit<TestDaemonOptions, 'directory' | 'environment'> = {}): Promise<FaultyDaemon> {
    const directory = await realpath(await mkdtemp(join(tmpdir(), 'tsdock-test-')));
    const socket = `${directory}.faults`;
    const environment = {
      NODE_OPTIONS: `--import=${new URL('./preload.js', import.meta.url).href}`,
      TSDOCK_TEST_FAULT_SOCKET: socket,
      TSDOCK_TEST_FAULT_FOLDER: directory,
    };
    return new FaultyDaemon(await TestDaemon.start({ ...options, directory, environment }), socket);
  }

  /** Sets a plan, or none. Resolves with what came of the one before. */
  async plan(plan: Plan | undefined): Promise<Outcome> {
    return this.#ask(plan ?? null);
  }

  /** Resolves once the daemon does nothing more that counts. */
  async quiet(): Promise<void> {
    let { calls } = await this.#ask('look');
    for (;;) {
      await sleep(QUIET_MS); // what is waited for is that nothing happens
      const now = await this.#ask('look');
      if (now.calls === calls) return;
      ({ calls } = now);
    }
  }

  async close(): Promise<void> {
    await this.plan(undefined).catch(() => undefined); // it may have been ended
    await this.daemon.close();
    await rm(this.#socket, { force: true });
  }

  async #ask(question: Plan | 'look' | null): Promise<Outcome> {
    const socket = connect(this.#socket);
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    socket.on('error', () => undefined);
    socket.end(JSON.stringify(question));
    return JSON.parse((await readAll(socket)).toString()) as Outcome; // the preload's own
  }
}
