// The cases that a command line asks for, over each transport that it asks for.

import type { Case } from './case.js';
import type { Options } from './options.js';
import { overHttp, selectCases, type Transport } from './selection.js';
import { playAll, type PlayOptions, type Tally } from './play-all.js';
import type { Target } from './target.js';

/** Plays them, one transport after the other. `inOrder` puts the cases in the order in which they begin. */
export async function playTransports(
  targets: readonly Target[],
  { words, shard, commands, transports, isVerbose, isStrict, retries }: Options,
  how: { again: string; suffix: string; fixture?: PlayOptions['fixture']; inOrder: (cases: Case[]) => Case[] },
  print: (line: string) => void,
): Promise<Tally> {
  const all = selectCases(words, shard).filter(({ command }) => commands.length === 0 || commands.includes(command));
  const sum: Tally = { passed: 0, failed: 0, skipped: 0 };
  for (const transport of transports) {
    const cases = how.inOrder(over(all, transport));
    const isDefault = transport === 'tcp';
    const tally = await playAll(cases, targets, {
      isVerbose,
      isStrict,
      retries,
      fixture: how.fixture,
      print,
      suffix: isDefault ? how.suffix : `${how.suffix} over ${transport}`,
      again: isDefault ? how.again : `${how.again} --transports ${transport}`,
    });
    add(sum, tally);
  }
  return sum;
}

/** Adds the second to the first. */
export function add(sum: Tally, tally: Tally): void {
  for (const key of ['passed', 'failed', 'skipped'] as const) sum[key] += tally[key];
}

/** Prints what came of all of it, the last line alone being how many passed and failed. Returns the exit status. */
export function conclude({ passed, failed, skipped }: Tally, print: (line: string) => void): number {
  if (skipped > 0) print(`${skipped} skipped`);
  print(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function over(cases: Case[], transport: Transport): Case[] {
  return transport === 'tcp' ? cases : cases.map(overHttp).filter((played) => played !== undefined);
}
