// The thread's side of thread-jobs.ts: takes one job after the other.
//
// The files of worker threads call it. The rule that must hold: a job says that it has ended when all that it opened is closed,
// and nothing of it is left in the module. What it throws ends the thread.

import { getHeapStatistics } from 'node:v8';
import { parentPort, type MessagePort } from 'node:worker_threads';

/** A thread that holds more than this after its job ends: it would hold that as long as it rests. Seen are 11 to 26 MB. */
const HELD_BYTES = 48 * 1024 * 1024;

/** What a thread is told of a job. */
export interface JobStart {
  port: MessagePort;
  data: unknown;
}

/**
 * Begins each job by a call of `begin`. The port is the job's connection to who asked for it; whoever begins it calls `end`
 * once, which closes the port.
 */
export function serveJobs(begin: (data: unknown, port: MessagePort, end: () => void) => void): void {
  const jobs = parentPort;
  if (jobs === null) throw new Error('Cannot serve jobs: this is the thread of a program, startJob() starts others');
  jobs.on('message', ({ port, data }: JobStart) => {
    begin(data, port, () => {
      port.close();
      if (heldBytes() > HELD_BYTES) jobs.close();
      else jobs.postMessage('done');
    });
  });
}

function heldBytes(): number {
  const { total_heap_size: heap, external_memory: buffers } = getHeapStatistics();
  return heap + buffers;
}
