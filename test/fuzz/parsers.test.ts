// The short run of the fuzz test over everything that reads what strangers send and needs no daemon. `npm run soak` has the
// long one. TSDOCK_FUZZ_SEED and TSDOCK_FUZZ_SECONDS say where to begin and how long.

import test from 'node:test';
import { ARCHIVE_TARGETS } from './archive-targets.js';
import { firstSeed, formatCounts, fuzz, replay } from './fuzz.js';
import { SEEDS } from './seeds.js';
import { WIRE_TARGETS } from './wire-targets.js';

const TARGETS = [...WIRE_TARGETS, ...ARCHIVE_TARGETS];
const SECONDS = Number(process.env['TSDOCK_FUZZ_SECONDS'] ?? 24);

test('what once failed in a parser does not fail any more', async () => {
  for (const each of SEEDS) if (TARGETS.some(({ name }) => name === each.target)) await replay(TARGETS, each);
});

test('nothing that a stranger sends brings a parser down', { timeout: 600_000 + SECONDS * 1000 }, async (t) => {
  const seed = firstSeed();
  t.diagnostic(`seed ${seed}`);
  t.diagnostic(formatCounts(await fuzz(TARGETS, seed, SECONDS)));
});
