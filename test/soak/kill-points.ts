// Kills a daemon at each thing that a command does to the machine, one after the other, and checks after each restart that
// nothing is lost, doubled or left. What kills at random moments find by luck, this finds in order.
//
// `npm run soak -- points` goes through all things, test/server/kill-points.daemon.test.ts through the steps.

import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestDaemon, until } from '../harness.js';
import { settledProblems, type CheckedMachine } from './checks.js';
import type { Order } from './die-at.js';
import { Known } from './known.js';
import { SCENARIOS, type Scenario } from './point-scenarios.js';

/** What is to be done. */
export interface PointOptions {
  stepsOnly: boolean;
  /** only every so many of the points, beginning with the first */
  stride?: number;
  args?: string[];
  machine?: CheckedMachine;
  /** only the scenarios whose name has this in it */
  only?: string;
  say: (line: string) => void;
}

/** How long a daemon may go on with a command after the reply, in milliseconds. */
const AFTERMATH_MS = 150;
/** No command does as many things. */
const MOST_POINTS = 2_000;
/** More of the same would tell nothing new. */
const MOST_PROBLEMS = 20;

/** See the head of the file. Resolves with what was wrong, and how often it was killed; it ends early where much is wrong. */
export async function killAtEachPoint(options: PointOptions): Promise<{ problems: string[]; kills: number }> {
  const { args = [], machine, only = '', say, stride = 1 } = options;
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'tsdock-test-')));
  const order = `${directory}.order`;
  const preload = `${new URL('./die-at.js', import.meta.url).href}?order=${order}`;
  const environment = { NODE_OPTIONS: `--import=${preload}` };
  const daemon = await TestDaemon.start({ directory, environment, args, ...(machine === undefined ? {} : { network: machine }) }); // prettier-ignore
  const known = new Known();
  const points = new Points(daemon, known, order, options.stepsOnly);
  const problems: string[] = [];
  let kills = 0;
  try {
    for (const scenario of SCENARIOS.filter(({ name }) => name.includes(only))) {
      const before = kills;
      for (let at = 1; at < MOST_POINTS; at += stride) {
        if (!(await points.kill(scenario, at))) break;
        kills++;
        const found = (await settledProblems(daemon, known, machine)).map(
          (line) => `${scenario.name} at ${at}: ${line}`,
        );
        problems.push(...found);
        for (const line of found) say(line);
        if (found.length > 0) say(daemon.log.slice(-3_000));
        if (problems.length > MOST_PROBLEMS) return { problems, kills };
      }
      say(`${scenario.name}: killed at ${kills - before} points`);
      await points.removeAll();
    }
  } catch (error) {
    problems.push(String(error)); // one that does not start, say
    say(`${String(error)}\n${daemon.log.slice(-3_000)}`);
  } finally {
    await rm(order, { force: true });
    await daemon.close().catch((error: unknown) => void problems.push(`at the end: ${String(error)}`));
  }
  return { problems, kills };
}

class Points {
  constructor(
    readonly daemon: TestDaemon,
    readonly known: Known,
    readonly order: string,
    readonly stepsOnly: boolean,
  ) {}

  /** Kills it at that point, and starts it again. False where the command is over before. */
  async kill(scenario: Scenario, at: number): Promise<boolean> {
    const { daemon, known } = this;
    await this.removeAll();
    const order: Order = { at, stepsOnly: this.stepsOnly };
    const call = await scenario.prepare({ daemon, known });
    if (scenario.betweenDaemons !== undefined) {
      await daemon.end('SIGKILL');
      await scenario.betweenDaemons({ daemon, known });
      await writeFile(this.order, JSON.stringify(order));
      const isBegun = await daemon.begin().then(
        () => true,
        () => false,
      );
      if (isBegun && !(await this.#diesSoon())) return this.#disarm();
    } else {
      await this.#give(order);
      const { status } = await call();
      if (status !== undefined && !(await this.#diesSoon())) return this.#disarm();
    }
    await daemon.end('SIGKILL');
    await daemon.begin();
    return true;
  }

  async removeAll(): Promise<void> {
    const ids = (await this.daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
    for (const id of ids) this.known.ids.add(id);
    if (ids.length > 0) await this.daemon.call('rm', '-f', ...ids);
    this.known.containers.clear();
  }

  async #give(order: Order): Promise<void> {
    await writeFile(this.order, JSON.stringify(order));
    if (this.daemon.isAlive) process.kill(this.daemon.pid, 'SIGUSR2'); // a late step may have ended it meanwhile
    await until(() => !existsSync(this.order) || !this.daemon.isAlive, 'the order is taken');
  }

  /** It goes on, and nothing kills it any more. */
  async #disarm(): Promise<false> {
    await this.#give({ at: 0, stepsOnly: true });
    if (!this.daemon.isAlive) await this.daemon.begin();
    return false;
  }

  async #diesSoon(): Promise<boolean> {
    const deadline = performance.now() + AFTERMATH_MS;
    while (this.daemon.isAlive && performance.now() < deadline) await sleep(5);
    return !this.daemon.isAlive;
  }
}
