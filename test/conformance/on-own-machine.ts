// For the tests that play all cases: on daemons of our own, with nothing left out, and a failure that shows what differs.

import assert from 'node:assert/strict';
import { playOnOwnMachine } from './own-machine.js';

/** How long a call may take, in seconds: a `stop` takes ten where all is well, and a busy machine makes it more. */
const TIMEOUT_S = '60';

/** Plays what this command line asks for. Fails where a case fails, or where fewer than so many were played. */
export async function assertAllPass(atLeast: number, ...args: string[]): Promise<void> {
  const lines: string[] = [];
  const status = await playOnOwnMachine(['--strict', '--timeout', TIMEOUT_S, ...args], (line) => lines.push(line));
  const told = lines.filter((line) => !line.startsWith('ok ')).join('\n');
  assert.equal(status, 0, `${told}\n`);
  const passed = Number(/^(\d+) passed, 0 failed$/.exec(lines.at(-1) ?? '')?.[1]);
  assert.ok(passed >= atLeast, `only ${passed} cases were played`);
}
