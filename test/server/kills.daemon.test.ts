// The daemon killed at random moments under a workload, in short: `npm run soak -- kills` does it 200 times.

import assert from 'node:assert/strict';
import test from 'node:test';
import { TestMachine } from '../network/test-machine.js';
import { killAtRandom } from '../soak/kills.js';

const KILLS = 25;
const SEEDS = 1_000_000;
/** One that KILL_SEED names, to see a failure again; else another one each time. */
const seed = Number(process.env['KILL_SEED'] ?? Math.floor(Math.random() * SEEDS));

async function assertNoProblem(kills: number, machine?: TestMachine): Promise<void> {
  const lines: string[] = [];
  const options = { seed, kills, say: (line: string) => void lines.push(line) };
  const problems = await killAtRandom(machine === undefined ? options : { ...options, machine });
  assert.deepEqual(problems, [], `seed ${seed} (KILL_SEED=${seed} gives the same choices):\n${lines.join('\n')}`);
}

test(`${KILLS} kills at random moments lose, double and leave nothing (seed ${seed})`, async () => {
  await assertNoProblem(15);
  const machine = await TestMachine.start();
  await assertNoProblem(KILLS - 15, machine);
  await machine.close();
});
