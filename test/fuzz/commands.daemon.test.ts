// The short run of the fuzz test over every command of a real daemon. `npm run soak` has the long one. TSDOCK_FUZZ_SEED and
// TSDOCK_FUZZ_SECONDS say where to begin and how long.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { TestDaemon } from '../harness.js';
import { CommandTarget } from './command-target.js';
import { firstSeed, formatCounts, fuzz, replay } from './fuzz.js';
import { WORDS } from './round.js';
import { SEEDS } from './seeds.js';

const SECONDS = Number(process.env['TSDOCK_FUZZ_SECONDS'] ?? 30);
/** How much the heap of a daemon may be larger after some rounds than after one, in MiB. */
const GROWTH_MIB = 100;

let daemon: TestDaemon;
let commands: CommandTarget;
before(async () => {
  daemon = await TestDaemon.start();
  commands = await CommandTarget.start(daemon);
});
after(async () => {
  commands.close();
  await daemon.close();
});

test('reflection finds every command', () => {
  assert.ok(WORDS.length >= 30 && WORDS.includes('run') && WORDS.includes('debug'), WORDS.join(' '));
});

test('what once failed in a command does not fail any more', { timeout: 600_000 }, async () => {
  for (const each of SEEDS.filter(({ target }) => target === commands.name)) await replay([commands], each);
});

test('nothing that callers do brings the daemon down', { timeout: 600_000 + SECONDS * 1000 }, async (t) => {
  const seed = firstSeed();
  t.diagnostic(`seed ${seed}`);
  const counts = await fuzz([commands], seed, SECONDS);
  const [first = 0, last = 0] = [commands.resident[0], commands.resident.at(-1)];
  t.diagnostic(
    `${formatCounts(counts)}, ${commands.calls} calls, version within ${commands.longestPing} ms, ${first} to ${last} MiB`,
  );
  assert.ok(last - first < GROWTH_MIB, `${first} MiB, then ${last} MiB`);
});
