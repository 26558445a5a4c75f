// How soon a daemon answers while there is work for it: asked from a thread of its own, since the test that has the work done
// may be busy itself, with a reply of a hundred megabytes, and would count its own delay.

import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, Worker, workerData, type MessagePort } from 'node:worker_threads';
import type { TestDaemon } from '../harness.js';

const BETWEEN_MS = 10;

/** What the thread is told: where the daemon listens. */
type Address = TestDaemon['tcp'];

/** Calls ps again and again while `work` is going on. Resolves with how long each call took, in milliseconds, the longest last. */
export async function psLatencies({ tcp }: TestDaemon, work: () => Promise<void>): Promise<number[]> {
  const thread = new Worker(new URL(import.meta.url), { workerData: tcp });
  try {
    await once(thread, 'message'); // the first call has been answered
    await work();
    thread.postMessage('enough');
    const [latencies] = (await once(thread, 'message')) as [number[]]; // its last word
    return latencies.sort((a, b) => a - b);
  } finally {
    await thread.terminate();
  }
}

/** The longest of them alone. */
export async function slowestPs(daemon: TestDaemon, work: () => Promise<void>): Promise<number> {
  return (await psLatencies(daemon, work)).at(-1) ?? NaN;
}

async function measure(port: MessagePort, address: Address): Promise<void> {
  const enough = once(port, 'message').then(() => true);
  await ask(address);
  port.postMessage('begun');
  const latencies: number[] = [];
  do latencies.push(await ask(address));
  while (!(await Promise.race([enough, sleep(BETWEEN_MS, false)])));
  port.postMessage(latencies);
}

async function ask(address: Address): Promise<number> {
  const began = performance.now();
  const socket = connect(address).resume();
  socket.end('["ps","-q"]\n');
  await once(socket, 'end');
  return performance.now() - began;
}

if (parentPort !== null) await measure(parentPort, workerData as Address); // `psLatencies` gives it
