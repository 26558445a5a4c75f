// The long form of test/server/faults.daemon.test.ts: every command, made fail at every one of its steps, by every cause, at
// that step alone and from it on, with each mount driver.

import assert from 'node:assert/strict';
import { FaultyDaemon } from '../faults/faulty-daemon.js';
import { CAUSES, type Cause } from '../faults/plan.js';
import { makeScenarios } from '../faults/scenarios.js';
import { temporaries } from '../faults/snapshot.js';
import { sweep } from '../faults/sweep.js';

/** A part of it. */
export interface FaultOptions {
  /** the names of scenarios; all where it is empty */
  only: readonly string[];
  drivers: readonly string[];
  /** of so many steps one is tried */
  stride: number;
}

/** Rejects, after all, with what should not have been. Tells `say` of each sweep in a line. */
export async function soakFaults(options: FaultOptions, say: (line: string) => void): Promise<void> {
  const { only, drivers, stride } = options;
  const problems: string[] = [];
  for (const driver of drivers) {
    const faulty = await FaultyDaemon.start({ args: ['--driver', driver] });
    const { daemon } = faulty;
    const { scenarios, close } = await makeScenarios(daemon);
    try {
      const unknown = only.filter((name) => !scenarios.some((scenario) => scenario.name === name));
      assert.deepEqual(unknown, [], 'there are no such scenarios');
      for (const scenario of scenarios.filter(({ name }) => only.length === 0 || only.includes(name))) {
        for (const cause of Object.keys(CAUSES) as Cause[]) {
          for (const isLasting of [false, true]) {
            const began = performance.now();
            const { points, problems: found } = await sweep(faulty, scenario, { cause, isLasting, stride });
            const seconds = ((performance.now() - began) / 1000).toFixed(1);
            problems.push(...found.map((problem) => `${driver}: ${problem}`));
            const what = `${driver}, ${scenario.name}, ${cause}${isLasting ? ' from then on' : ''}`;
            say([`${what}: ${points} steps, ${seconds} s, ${found.length} problems`, ...found].join('\n  '));
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
}
