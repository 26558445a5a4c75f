// The daemon killed at each step of each command: `npm run soak -- points` goes through everything that changes a file too.

import assert from 'node:assert/strict';
import test from 'node:test';
import { CANNOT_PRELOAD } from '../harness.js';
import { killAtEachPoint } from '../soak/kill-points.js';

/** What the commands announce at least, all together: fewer would mean that they were not reached. */
const FEWEST_POINTS = 70;

test('a daemon that is killed right after any step of a command loses, doubles and leaves nothing', async (t) => {
  if (CANNOT_PRELOAD !== false) return t.skip(CANNOT_PRELOAD);
  const lines: string[] = [];
  const { problems, kills } = await killAtEachPoint({ stepsOnly: true, say: (line) => void lines.push(line) });
  assert.deepEqual(problems, [], lines.join('\n'));
  assert.ok(kills >= FEWEST_POINTS, `it was killed at ${kills} points:\n${lines.join('\n')}`);
});
