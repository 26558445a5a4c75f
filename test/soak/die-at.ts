// Lets a real daemon die at the N-th thing that it does to the machine: `node --import` loads this file into it before anything
// else. A thing is a step that it announces, a call that changes files, or the start of a process; it dies right after a
// step, and right before a call.
//
// The query of the URL that it is loaded by names a file, `?order=PATH`, in which the test writes an order. It is read when the
// daemon begins, or at SIGUSR2, and removed as a sign that the counting has begun.

import { ChildProcess } from 'node:child_process';
import { subscribe } from 'node:diagnostics_channel';
import * as realFs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';

/** What the test writes into the file. */
export interface Order {
  /** which thing, from 1 */
  at: number;
  /** steps alone are counted */
  stepsOnly: boolean;
}

type Call = (this: unknown, ...args: unknown[]) => unknown;

/** The calls of node that change files, without `Sync`. */
const CHANGES =
  'mkdir mkdtemp symlink rename rm rmdir unlink chmod fchmod utimes write writeFile copyFile ftruncate fsync'.split(
    ' ',
  );

const { readFileSync, rmSync } = realFs;
const path = new URL(import.meta.url).searchParams.get('order') ?? '';
let order: Order | undefined;
let count = 0;

function die(isStep: boolean): void {
  if (order === undefined || (order.stepsOnly && !isStep)) return;
  if (++count === order.at) process.kill(process.pid, 'SIGKILL');
}

function takeOrder(): void {
  order = undefined;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return; // there is none yet
  }
  rmSync(path); // before it counts: node removes by the calls that are counted
  count = 0;
  order = JSON.parse(text) as Order; // the test's own
}

function dieBefore(calls: Record<string, Call>, name: string): void {
  const call = calls[name];
  if (call === undefined) return;
  calls[name] = function (...args) {
    die(false);
    return call.apply(this, args);
  };
}

const fs = createRequire(import.meta.url)('node:fs') as Record<string, Call> & { promises: Record<string, Call> };
process.on('SIGUSR2', takeOrder);
takeOrder();
subscribe('tsdock:step', () => die(true));
for (const name of CHANGES) {
  dieBefore(fs, name);
  dieBefore(fs, `${name}Sync`);
  dieBefore(fs.promises, name);
}
const prototype = ChildProcess.prototype as unknown as Record<string, Call>; // `spawn` is a method of it, and not declared
dieBefore(prototype, 'spawn');
syncBuiltinESMExports();
