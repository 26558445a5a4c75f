// Plays many cases, on one daemon after the other or on several at once: each takes the next one when it is free.

import { referenceOf, type Case } from './case.js';
import type { Fixture } from './fixture.js';
import { render } from './mismatch.js';
import { Player, type Failure } from './player.js';
import { missingNeeds, type Target } from './target.js';

/** How, beside the cases. */
export interface PlayOptions {
  /** a skipped case is a failed one */
  isStrict?: boolean;
  /** how often a case that failed is played again */
  retries?: number;
  /** the base image, where it is not the one that is made */
  fixture?: Fixture | undefined;
  /** what stands behind the name of a case */
  suffix?: string;
  /** the words with which a case is played again, before its name */
  again: string;
  /** with seconds */
  isVerbose?: boolean;
  print: (line: string) => void;
}

/** How many cases ended how. */
export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Plays all cases and prints a line for each, and more where it failed. Rejects where a daemon cannot be made ready. */
export async function playAll(
  cases: readonly Case[],
  targets: readonly Target[],
  options: PlayOptions,
): Promise<Tally> {
  const queue = [...cases];
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  // All of them end before this does: whoever called owns the daemons.
  const ends = await Promise.allSettled(targets.map((target) => work(queue, target, tally, options)));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return tally;
}

/** What one daemon does until nothing is left. */
async function work(queue: Case[], target: Target, tally: Tally, options: PlayOptions): Promise<void> {
  let player: Player | undefined;
  let reference: string | undefined;
  try {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (player === undefined || reference !== referenceOf(next)) {
        await player?.close();
        reference = referenceOf(next);
        player = await Player.start(target, referenceOf(next), options.fixture);
        await player.prepare();
      }
      await playOne(next, player, target, tally, options);
    }
  } finally {
    await player?.close();
  }
}

async function playOne(
  played: Case,
  player: Player,
  target: Target,
  tally: Tally,
  { isStrict = false, retries = 0, suffix = '', isVerbose = false, again, print }: PlayOptions,
): Promise<void> {
  const label = `${played.folder}/${played.name}${suffix}`;
  const missing = missingNeeds(target, played).map((need) => `--${need}`);
  if (missing.length > 0) {
    tally[isStrict ? 'failed' : 'skipped']++;
    return print(`${isStrict ? 'FAIL' : 'skip'} ${label} (needs ${missing.join(' ')})`);
  }
  const began = performance.now();
  let failure = await player.play(played);
  for (let left = retries; failure !== undefined && left > 0; left--) {
    print(`  (again: ${label}: ${failure.mismatch.reason})`);
    failure = await player.play(played);
  }
  const seconds = isVerbose ? ` (${((performance.now() - began) / 1000).toFixed(1)} s)` : '';
  tally[failure === undefined ? 'passed' : 'failed']++;
  if (failure === undefined) print(`ok ${label}${seconds}`);
  else print([`FAIL ${label}${seconds}: ${failure.mismatch.reason}`, ...explain(played, failure, again)].join('\n'));
}

/** What a person wants to know of a failure: what the case is about, what was done, how the two differ, how to see it again. */
function explain(played: Case, { step: at, mismatch }: Failure, again: string): string[] {
  const step = at === undefined ? undefined : played.steps[at - 1];
  const done =
    step?.args ?? step?.path ?? step?.raw ?? step?.conn ?? step?.disk ?? step?.disk_file ?? step?.host_tcp ?? '';
  return [
    `    ${played.why}`,
    ...(at === undefined ? [] : [`    step ${at} of ${played.steps.length}: ${JSON.stringify(done).slice(0, 200)}`]),
    ...render(mismatch).map((line) => `      ${line}`),
    `    again: ${again} ${played.folder}/${played.name}`,
  ];
}
