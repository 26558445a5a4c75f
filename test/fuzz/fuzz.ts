// The fuzz test: feeds targets with what a seed makes of valid input, for some time, and fails with the seed of what went
// wrong.
//
// A case is one call of a target's `run` with a `Random` of its own seed; it throws where something is not as it must be. So
// a failure is a pair {target, seed}, which `replay` does again; those that ever failed stand in seeds.ts.

import { setTimeout as sleep } from 'node:timers/promises';
import { FlagError } from '../../src/rcli/flags.js';
import { Random } from './random.js';

/** How long one case may take, in milliseconds: what takes longer hangs. */
const CASE_MS = 240_000;

/** Something that takes input from strangers. */
export interface Target {
  readonly name: string;
  /** Does one case. Throws where the promise of the target is broken. */
  run(random: Random): Promise<void> | void;
}

/** One case. */
export interface Case {
  target: string;
  seed: number;
}

/** How often each target was run. */
export type Counts = Record<string, number>;

/** What a reply, a log or an error must never say: it is what a mistake of ours looks like. */
const MISTAKES =
  /TypeError|RangeError|ReferenceError|SyntaxError|Cannot read propert|Cannot (set|destructure)|is not a function|is not iterable|\bERR_[A-Z_]+|Maximum call stack|node:internal|\[object |\n {4}at /;

/** Runs the targets in turn for some time, beginning with `seed`. Rejects with the case that fails. */
export async function fuzz(targets: readonly Target[], seed: number, seconds: number): Promise<Counts> {
  const counts: Counts = {};
  const end = performance.now() + seconds * 1000;
  const share = (seconds * 1000) / targets.length;
  // Each has the same time, in several turns, so that a slow one does not starve the others.
  const turns = Math.max(1, Math.round(share / 2000));
  const next = new Random(seed);
  for (let turn = 0; turn < turns || performance.now() < end; turn++) {
    for (const target of targets) {
      const turnEnd = performance.now() + share / turns;
      do {
        await runCase(target, next.below(2 ** 32));
        counts[target.name] = (counts[target.name] ?? 0) + 1;
      } while (performance.now() < Math.min(turnEnd, end));
    }
    if (performance.now() >= end) break;
  }
  return counts;
}

/** Does one case again. */
export async function replay(targets: readonly Target[], { target: name, seed }: Case): Promise<void> {
  const target = targets.find((each) => each.name === name);
  if (target === undefined) throw new Error(`Cannot replay: no target named "${name}"`);
  await runCase(target, seed);
}

/** The seed that a run begins with: TSDOCK_FUZZ_SEED, else any. */
export function firstSeed(): number {
  return Number(process.env['TSDOCK_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
}

/** The counts in a line. */
export function formatCounts(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

/** Throws where a text shows a mistake of ours. */
export function checkText(text: string, what: string): void {
  const [found] = MISTAKES.exec(text) ?? [];
  if (found !== undefined) throw new Error(`${what} shows a mistake of the program, "${found}": ${shown(text)}`);
}

/** Does `body`, which may fail with an error of that kind alone, whose text is short and on one line. */
export function mayFail(kind: new (...args: never[]) => Error, body: () => void): Error | undefined {
  try {
    body();
    return undefined;
  } catch (error) {
    if (!(error instanceof kind)) throw error;
    checkText(`${error.name === 'ArchiveError' ? '' : error.name} ${error.message}`, 'an error');
    if (error.message.length > MAX_MESSAGE)
      throw new Error(`an error of ${error.message.length} characters: ${shown(error.message)}`);
    if (/[\x00-\x1f]/.test(error.message) && !(error instanceof FlagError))
      throw new Error(`an error of more than a line: ${shown(error.message)}`);
    return error;
  }
}

/** No reader wants an error of more characters. */
export const MAX_MESSAGE = 10_000;

/** The beginning of a text, for a message. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 600 ? `${text.slice(0, 600)}…` : text);
}

async function runCase(target: Target, seed: number): Promise<void> {
  const expiry = new AbortController();
  const late = sleep(CASE_MS, undefined, { signal: expiry.signal }).then(
    () => {
      throw new Error(`it hangs: no end within ${CASE_MS / 1000} seconds`);
    },
    () => undefined, // it is done in time
  );
  try {
    await Promise.race([Promise.resolve(target.run(new Random(seed))), late]);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`fuzz: {target: '${target.name}', seed: ${seed}}: ${why}`, { cause });
  } finally {
    expiry.abort();
  }
}
