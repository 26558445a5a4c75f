// Makes one command fail at each of its steps, one after the other, and looks what comes of it each time: what the caller is
// told, what is there afterwards, and whether the daemon goes on.

import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../harness.js';
import type { FaultyDaemon } from './faulty-daemon.js';
import type { Cause } from './plan.js';
import type { Scenario } from './scenarios.js';
import { isSaved, takeSnapshot } from './snapshot.js';

/** How long a daemon may take to have everything in order after a failure, in milliseconds. */
const SETTLE_MS = 60_000;

/** How long a cause lasts that a command waits for to go, in milliseconds. */
const PATIENCE_MS = 3_000;

/** What is told of a reply, from its end. */
const REPLY_CHARACTERS = 300;

export interface SweepOptions {
  cause: Cause;
  isLasting: boolean;
  /** of so many steps one is tried, the first of them at `offset` */
  stride?: number;
  offset?: number;
}

/** What a sweep found. */
export interface SweepResult {
  /** how many steps the command takes that this cause would make fail */
  steps: number;
  /** how many were made fail */
  points: number;
  /** what should not have been, in words */
  problems: string[];
  /** all errors that callers were told */
  errors: Set<string>;
}

/** See the head of the file. */
export async function sweep(
  faulty: FaultyDaemon,
  scenario: Scenario,
  { cause, isLasting, stride = 1, offset = 0 }: SweepOptions,
): Promise<SweepResult> {
  const { daemon } = faulty;
  const snapshot = async (): Promise<string> =>
    (await takeSnapshot(daemon)).filter((line) => scenario.isLoose?.test(line) !== true).join('\n');
  /** Once the end of each run before is on record. */
  const settled = async (): Promise<string> => {
    let lines: string[] = [];
    await until(async () => isSaved((lines = await takeSnapshot(daemon))), 'all is saved', SETTLE_MS).catch(() => {
      throw new Error(`what a daemon knows is not on disk before ${scenario.name}, ${cause}:\n${lines.join('\n')}`);
    });
    return snapshot();
  };
  /** Once nothing changes any more: what was ended takes a moment to be gone, and what was begun to be there. */
  const still = async (): Promise<string> => {
    let [last, now] = ['', await settled()];
    await until(
      async () => {
        [last, now] = [now, await settled()];
        return last === now;
      },
      `nothing changes any more, with ${scenario.name}`,
      SETTLE_MS,
    );
    return now;
  };
  const result: SweepResult = { steps: 0, points: 0, problems: [], errors: new Set() };

  /** The reply, and what is there once the daemon is done. */
  const attempt = async (at: number): Promise<{ reply: string; failed: string; calls: number }> => {
    await faulty.plan({ cause, at, isLasting });
    const acting = scenario.act();
    // What it waits for comes when the cause has gone: the end of a run is not given up.
    const isDone = await Promise.race([acting.then(() => true), sleep(PATIENCE_MS, false)]);
    const lifted = isDone ? undefined : await faulty.plan(undefined);
    const reply = await acting;
    await faulty.quiet();
    const last = await faulty.plan(undefined);
    return { reply, ...(lifted ?? last) };
  };

  await scenario.prepare?.();
  const before = await still();
  const halfWay: string[] = [];
  for (const stop of scenario.halfWay ?? []) {
    await stop();
    halfWay.push(await still());
    await scenario.undo?.();
    await scenario.prepare?.();
  }
  const { reply, calls } = await attempt(0);
  if (!scenario.reply.test(reply)) throw new Error(`${scenario.name} fails by itself: ${reply}`);
  result.steps = calls;
  const after = await still();
  await scenario.undo?.();

  for (let at = 1 + (offset % stride); at <= calls; at += stride) {
    await scenario.prepare?.();
    const where = `${scenario.name}, ${cause}${isLasting ? ' from then on' : ''}, step ${at} of ${calls}`;
    const problem = (text: string): unknown => result.problems.push(`${where}: ${text}`);
    let begun = '';
    const isAsBefore = async (): Promise<boolean> => (begun = await settled()) === before;
    const isFit = await until(isAsBefore, 'all is as before', SETTLE_MS).then(
      () => true,
      () => false,
    );
    if (!isFit) {
      problem(`what is there differs before it:\n${difference(before, begun)}`);
      await scenario.undo?.();
      break;
    }
    const { reply, failed } = await attempt(at);
    if (failed === '') {
      await scenario.undo?.();
      break; // it took fewer steps this time
    }
    result.points++;
    const error = errorOf(reply);
    const isFine = scenario.reply.test(reply);
    if (error !== undefined) result.errors.add(error);
    if (!isFine && error === undefined)
      problem(`(${failed}) the caller is told ${JSON.stringify(reply).slice(-REPLY_CHARACTERS)}`);
    if (!isAlive(daemon.pid)) throw new Error(`${where} (${failed}): the daemon has ended: ${daemon.log}`);
    let now = '';
    const allowed = isFine ? [after] : [before, ...halfWay, after];
    await until(async () => allowed.includes((now = await snapshot())), 'all is in order', SETTLE_MS).catch(() =>
      problem(
        `(${failed}) ${JSON.stringify(reply).slice(-REPLY_CHARACTERS)}\n${difference(isFine ? after : before, now)}`,
      ),
    );
    await scenario.undo?.();
  }
  return result;
}

/** The one error line of a reply, at its end; undefined where there is none, or more. It tells what, on what, and why. */
function errorOf(reply: string): string | undefined {
  // An archive breaks off anywhere: there it begins no line.
  const [, line] = /^(?:(?!Error: )[^\n]*\n)*(?:[^\n]*\0[^\n]*?)?(Error: [^\n]+)\n$/.exec(reply) ?? [];
  // What takes a file handle need be about no file.
  const rule = /too many open files|EMFILE/i.test(line ?? '') ? /^Error: .+/ : /^Error: (?=.*: ).*([/'"(]|[0-9a-f]{8})/;
  return line !== undefined && rule.test(line) ? line : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}

/** The lines that one of two snapshots has more often than the other. */
function difference(expected: string, found: string): string {
  const [first, second] = [expected.split('\n'), found.split('\n')];
  return [
    ...lacking(second, first).map((line) => `  - ${line}`),
    ...lacking(first, second).map((line) => `  + ${line}`),
  ].join('\n');
}

/** The lines of `whole` that are not among `part`, each as often as it is missing. */
function lacking(part: readonly string[], whole: readonly string[]): string[] {
  const left = [...part];
  return whole.filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
}
