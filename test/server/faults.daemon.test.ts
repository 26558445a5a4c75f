// Every command, made fail at its steps, on a real daemon: a full disk, a read-only one, no file handles left. The caller is
// told in one line, what is there is as before or as after, and the daemon goes on.
//
// Which steps there are a sweep finds by counting; here every eleventh of them is tried, from the one that the seed says
// (TSDOCK_TEST_SEED), and all by `npm run soak` (test/soak/faults.ts).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FaultyDaemon } from '../faults/faulty-daemon.js';
import { CAUSES, type Cause } from '../faults/plan.js';
import { makeScenarios } from '../faults/scenarios.js';
import { temporaries } from '../faults/snapshot.js';
import { sweep } from '../faults/sweep.js';
import { CANNOT_PRELOAD } from '../harness.js';

const STRIDE = 11;
const seed = Number(process.env['TSDOCK_TEST_SEED'] ?? 0);

test(`the daemon answers each command whose steps fail with one error line, and is as before or as after (seed ${seed})`, async (t) => {
  if (CANNOT_PRELOAD !== false) return t.skip(CANNOT_PRELOAD);
  const faulty = await FaultyDaemon.start();
  t.after(() => faulty.close());
  const { daemon } = faulty;
  const { scenarios, close } = await makeScenarios(daemon);
  t.after(close);

  const problems: string[] = [];
  let points = 0;
  for (const scenario of scenarios) {
    for (const [index, cause] of (Object.keys(CAUSES) as Cause[]).entries()) {
      // A sweep of every second cause fails from its step on, the others at that step alone; the next run the other way.
      const isLasting = (index + seed) % 2 === 0;
      const swept = await sweep(faulty, scenario, { cause, isLasting, stride: STRIDE, offset: seed + points });
      problems.push(...swept.problems);
      points += swept.points;
    }
  }
  assert.deepEqual(problems, []);
  assert.ok(points >= scenarios.length, `only ${points} steps failed`);

  await daemon.end('SIGKILL');
  await daemon.begin();
  assert.deepEqual(temporaries(daemon.directory), [], 'left after the next start');
});
