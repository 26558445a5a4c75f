// Kills a daemon again and again at random moments while several callers work with it, and checks after each restart that
// nothing is lost, doubled or left.
//
// `npm run soak -- kills` does it 200 times, test/server/kills.daemon.test.ts a few. A seed gives the same choices again; the
// moments are those of the machine.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../fuzz/random.js';
import { processesOf, TestDaemon } from '../harness.js';
import { settledProblems, type CheckedMachine } from './checks.js';
import { Known } from './known.js';
import { Caller, serveArchives } from './workload.js';

/** What is to be done. */
export interface KillOptions {
  seed: number;
  kills: number;
  args?: string[];
  /** where the daemon has a network */
  machine?: CheckedMachine;
  say: (line: string) => void;
}

const CALLERS = 5;
/** The longest time that a daemon has to answer in before it is killed, and to start in, in milliseconds. */
const LONGEST_LIFE_MS = 600;
const LONGEST_START_MS = 350;
/** One kill in so many comes during the start. */
const STARTS = 5;
/** How much of the log is shown with a problem. */
const LOG_LINES = 60;

/** See the head of the file. Resolves with what was wrong; after the first restart with a problem it ends. */
export async function killAtRandom({ seed, kills, args = [], machine, say }: KillOptions): Promise<string[]> {
  const random = new Random(seed);
  const { server, port } = await serveArchives();
  const daemon = await TestDaemon.start({ args, ...(machine === undefined ? {} : { network: machine }) });
  const known = new Known();
  const host = machine === undefined ? '127.0.0.1' : hostOf(machine.address);
  const place = { daemon, known, url: `http://${host}:${port}`, hasNetwork: machine !== undefined };
  const callers = Array.from({ length: CALLERS }, (_, i) => new Caller(place, `c${i}-`, new Random(seed * 100 + i)));
  let problems: string[] = [];
  try {
    for (let count = 1; count <= kills && problems.length === 0; count++) {
      const work = new Work(callers);
      await sleep(random.below(LONGEST_LIFE_MS));
      // Known before the kill: an answer that has come after the look may be that the container has ended since.
      const steady = [...lxcStarts(daemon.directory)].filter(([id]) => isSteady(known, id));
      await daemon.end('SIGKILL');
      await work.end();
      for (const id of idsOnDisk(daemon.directory)) known.ids.add(id);
      while (random.once(STARTS)) await killDuringStart(daemon, random.below(LONGEST_START_MS));
      await daemon.begin();
      problems = await settledProblems(daemon, known, machine);
      const now = lxcStarts(daemon.directory);
      for (const [id, pid] of steady) if (now.get(id) !== pid) problems.push(`container ${id} ran as ${pid}, and now ${now.get(id) ?? 'not at all'}`); // prettier-ignore
      if (problems.length > 0) say(`kill ${count} of seed ${seed}:\n  ${problems.join('\n  ')}`);
      for (const container of known.containers.values()) container.underWay = 0;
    }
    if (problems.length > 0) say(tailOf(daemon.log));
  } catch (error) {
    problems.push(`seed ${seed}: ${String(error)}`); // one that does not start, say
    say(`${problems.join('\n')}\n${tailOf(daemon.log)}`);
  } finally {
    server.close();
    await daemon.close().catch((error: unknown) => void problems.push(`at the end: ${String(error)}`));
  }
  return problems;
}

/** What the callers do until their daemon is gone. */
class Work {
  #isOver = false;
  readonly #done: Promise<unknown>;

  constructor(callers: readonly Caller[]) {
    this.#done = Promise.all(callers.map((caller) => this.#work(caller)));
  }

  async #work(caller: Caller): Promise<void> {
    while (!this.#isOver) await caller.act();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#done;
  }
}

/** Starts it, and kills it that much later, wherever it is then. */
async function killDuringStart(daemon: TestDaemon, afterMs: number): Promise<void> {
  const begun = daemon.begin().catch(() => undefined); // it does not listen: it was killed
  await sleep(afterMs);
  await daemon.end('SIGKILL');
  await begun;
}

/** Whether a container that runs must still do so whatever becomes of the daemon. */
function isSteady(known: Known, id: string): boolean {
  const container = known.containers.get(id);
  return container?.kind === 'sleeper' && container.underWay === 0 && !container.mayBeGone;
}

/** The pids of all lxc-starts, by container. */
function lxcStarts(directory: string): Map<string, string> {
  const found = processesOf(directory).flatMap((line): [string, string][] => {
    const [, pid = '', id = ''] = /^process (\d+) lxc-start .* -n (\w+) /.exec(line) ?? [];
    return id === '' ? [] : [[id, pid]];
  });
  return new Map(found.reverse()); // of a monitor and what it has forked the first is the monitor
}

/** The ids that the names in the folder of containers have in them, half-made ones too. */
function idsOnDisk(directory: string): string[] {
  return readdirSync(join(directory, 'containers')).flatMap((name) => /([0-9a-f]{8})$/.exec(name)?.[1] ?? []);
}

/** This process, as a TestMachine reaches it. */
function hostOf(machineAddress: string): string {
  return machineAddress.replace(/\d+$/, (last) => String(Number(last) - 1));
}

/** The end of a log, without the calls of the checks. */
function tailOf(log: string): string {
  const lines = log.split('\n').filter((line) => !/ (inspect \w+|logs \w+|ps -a -q) \(\d+ ms\): ok$/.test(line));
  return lines.slice(-LOG_LINES).join('\n');
}
