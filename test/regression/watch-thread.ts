// A thread that looks at the main thread of its process, and counts for how long it is blocked in system calls.
//
// The main thread beats from a timer. Where a beat is missing and the thread sleeps, it is blocked. Where it sleeps on a lock it
// does not count: then it waits for another thread of the process, and that one, as a rule, for a processor.

import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/** Where in the shared memory stands what: the count of beats, the time blocked since the last one, the order to end. */
export const [BEAT, BLOCKED_MS, END] = [0, 1, 2] as const;
/** Between two looks: more than between two beats. */
const LOOK_MS = 10;

if (parentPort !== null && workerData instanceof Int32Array) {
  parentPort.postMessage('ready');
  watch(workerData);
}

function watch(shared: Int32Array): void {
  let beat = Atomics.load(shared, BEAT);
  while (Atomics.wait(shared, END, 0, LOOK_MS) === 'timed-out') {
    const before = beat;
    beat = Atomics.load(shared, BEAT);
    if (beat === before && isBlocked()) Atomics.add(shared, BLOCKED_MS, LOOK_MS);
  }
}

function isBlocked(): boolean {
  const main = `/proc/self/task/${process.pid}`;
  const [, state = ''] = /^\d+ \(.*\) (\w)/.exec(readFileSync(`${main}/stat`, 'latin1')) ?? [];
  return state === 'D' || (state === 'S' && !readFileSync(`${main}/wchan`, 'latin1').includes('futex'));
}
