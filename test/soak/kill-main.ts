// The long kill tests as a program: `random`, 200 kills at random moments, half of them on a machine with a network; and
// `points`, a kill at each thing that each command does to the machine: some 600, half an hour at most. `main.ts` runs it.

import { parseArgs } from 'node:util';
import { TestMachine } from '../network/test-machine.js';
import { killAtEachPoint } from './kill-points.js';
import { killAtRandom } from './kills.js';

const say = (line: string): void => console.log(line);
const SEEDS = 1_000_000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * SEEDS)) },
    kills: { type: 'string', default: '200' },
    /** only the commands that have this in their name */
    only: { type: 'string', default: '' },
    /** only every so many of the points */
    stride: { type: 'string', default: '1' },
    driver: { type: 'string', default: '' },
  },
});
const args = values.driver === '' ? [] : ['--driver', values.driver];
process.exitCode = positionals[0] === 'points' ? await points() : await random();

async function random(): Promise<number> {
  const [seed, kills] = [Number(values.seed), Number(values.kills)];
  say(`seed ${seed}: --seed ${seed} gives the same choices again`);
  const onNetwork = Math.floor(kills / 2);
  const problems = await killAtRandom({ seed, kills: kills - onNetwork, args, say });
  if (problems.length === 0 && onNetwork > 0) {
    const machine = await TestMachine.start();
    problems.push(...(await killAtRandom({ seed: seed + 1, kills: onNetwork, args, machine, say })));
    await machine.close();
  }
  if (problems.length === 0) say(`${kills} out of ${kills} kills: nothing lost, doubled or left`);
  return problems.length === 0 ? 0 : 1;
}

async function points(): Promise<number> {
  const { only, stride } = values;
  const { problems, kills } = await killAtEachPoint({ stepsOnly: false, only, stride: Number(stride), args, say });
  say(`killed at ${kills} points: ${problems.length} problems`);
  return problems.length === 0 ? 0 : 1;
}
