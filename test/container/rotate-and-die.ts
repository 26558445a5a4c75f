// A process that appends to a bounded log and is killed in the middle of a rotation, before the step with the given
// number: the steps are all that a rotation does to files.
//
// argv: folder, bound in bytes, rotation in which it dies (from 0), step (from 0). It ends with status 0 where there is no
// such step.

import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { LogStore } from '../../src/container/log-store.js';
import { appendLines } from './append-lines.js';

const [folder = '', bound = '', rotation = '', step = ''] = process.argv.slice(2);
let left = Infinity;

/** Puts the death before each call of a function. */
function dieBefore(owner: object, name: string): void {
  const original: unknown = Reflect.get(owner, name);
  if (typeof original !== 'function') throw new Error(`There is no ${name}`);
  Reflect.set(owner, name, (...args: unknown[]): unknown => {
    if (left-- === 0) process.kill(process.pid, 'SIGKILL');
    return Reflect.apply(original, owner, args) as unknown; // whatever it returns
  });
}

for (const name of ['openSync', 'renameSync', 'closeSync']) dieBefore(fs, name);
for (const name of ['truncate', 'rm']) dieBefore(fs.promises, name);
syncBuiltinESMExports();

const store = new LogStore(folder, 'ab', Number(bound));
store.open();
await appendLines(store, Number(rotation), 0);
left = Number(step);
await appendLines(store, 1, 1_000_000 * (Number(rotation) + 1));
process.exit(0);
