// The long form of test/server/faults.daemon.test.ts: every command, made fail at every one of its steps, by every cause.
//
// Each step fails once by each cause: the odd ones alone, the even ones and all after them, or the other way round. On `vfs` are
// the commands for which it does something else: what comes before and after the mount is the same code. To do both at each
// step is twice as much (`--both`).

import assert from 'node:assert/strict';
import { FaultyDaemon } from '../faults/faulty-daemon.js';
import { CAUSES, type Cause } from '../faults/plan.js';
import { makeScenarios } from '../faults/scenarios.js';
import { temporaries } from '../faults/snapshot.js';
import { sweep } from '../faults/sweep.js';

/** The scenarios in which a driver does what another one does not. */
const BY_DRIVER: readonly string[] = ['start', 'commit', 'put', 'write', 'reset', 'mount', 'umount', 'diff'];
/** The driver on which all are done. */
const MAIN_DRIVER = 'overlay';

/** A part of it. */
export interface FaultOptions {
  /** the names of scenarios; all that differ on a driver where it is empty */
  only: readonly string[];
  drivers: readonly string[];
  /** of so many steps one is tried */
  stride: number;
  /** each step fails alone, and with all after it */
  isBoth: boolean;
  /** whether it is the even steps that fail alone */
  isOtherWay: boolean;
}

/** Resolves with how many steps failed; rejects, after all, with what should not have been. Tells `say` of each sweep in a line. */
export async function soakFaults(options: FaultOptions, say: (line: string) => void): Promise<number> {
  const { only, drivers, stride, isBoth, isOtherWay } = options;
  const problems: string[] = [];
  let total = 0;
  for (const driver of drivers) {
    const faulty = await FaultyDaemon.start({ args: ['--driver', driver] });
    const { daemon } = faulty;
    const { scenarios, close } = await makeScenarios(daemon);
    const isWanted = (name: string): boolean =>
      only.length > 0 ? only.includes(name) : driver === MAIN_DRIVER || BY_DRIVER.includes(name);
    try {
      const unknown = [...only, ...BY_DRIVER].filter((name) => !scenarios.some((scenario) => scenario.name === name));
      assert.deepEqual(unknown, [], 'there are no such scenarios');
      for (const scenario of scenarios.filter(({ name }) => isWanted(name))) {
        for (const cause of Object.keys(CAUSES) as Cause[]) {
          for (const isLasting of [false, true]) {
            const began = performance.now();
            const part = isBoth ? { stride } : { stride: 2 * stride, offset: isLasting === isOtherWay ? 0 : stride };
            const { steps, points, problems: found } = await sweep(faulty, scenario, { cause, isLasting, ...part });
            const seconds = ((performance.now() - began) / 1000).toFixed(1);
            total += points;
            problems.push(...found.map((problem) => `${driver}: ${problem}`));
            const what = `${driver}, ${scenario.name}, ${cause}${isLasting ? ' from then on' : ''}`;
            say(
              [`${what}: ${points} of ${steps} steps, ${seconds} s, ${found.length} problems`, ...found].join('\n  '),
            );
          }
        }
      }
      await daemon.end('SIGKILL');
      await daemon.begin();
      problems.push(...temporaries(daemon.directory).map((path) => `${driver}: left after the next start: ${path}`));
    } finally {
      close();
      await faulty.close();
    }
  }
  assert.deepEqual(problems, []);
  return total;
}
