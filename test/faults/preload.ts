// Makes the calls of a real daemon to the kernel fail, as a test plans it: `node --import` loads it into the daemon before
// anything else, and it puts itself between the daemon and node's file calls, koffi's functions and `spawn`.
//
// Everything stays real but the one call that is to fail: that one is not made, and gives the error that the kernel would
// give. Node has no preload for worker threads, so each of these begins with this file as well (`preload-worker.ts`).
//
// A test talks to it by a socket of its own (`faulty-daemon.ts`): a plan in, the outcome of the one before out, in JSON.

import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import workers, { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { PlanMemory, type Plan } from './plan.js';
import { failFileCalls } from './preload-files.js';
import { failNativeCalls } from './preload-native.js';

/** The environment variables of such a daemon: the path of the socket, and the folder whose disk fails. */
export const SOCKET = 'TSDOCK_TEST_FAULT_SOCKET';
export const FOLDER = 'TSDOCK_TEST_FAULT_FOLDER';

const MEMORY = 'tsdock-test-faults';
const folder = process.env[FOLDER] ?? '/nowhere';
const memory = isMainThread ? new PlanMemory() : new PlanMemory(getEnvironmentData(MEMORY) as SharedArrayBuffer); // the main thread has put it there

failFileCalls(memory, folder);
failNativeCalls(memory, folder);
failWorkers();
syncBuiltinESMExports();
if (isMainThread && process.env[SOCKET] !== undefined) {
  setEnvironmentData(MEMORY, memory.buffer);
  await listen(process.env[SOCKET]);
}

/** Lets each worker begin with this file. */
function failWorkers(): void {
  const exports = createRequire(import.meta.url)('node:worker_threads') as { Worker: typeof workers.Worker };
  const first = new URL('./preload-worker.js', import.meta.url);
  exports.Worker = class extends workers.Worker {
    constructor(file: string | URL, options?: workers.WorkerOptions) {
      super(first, { ...options, argv: [String(file)] });
    }
  };
}

async function listen(path: string): Promise<void> {
  await rm(path, { force: true }); // an earlier daemon's
  const server: Server = createServer((socket) => {
    socket.setEncoding('utf8');
    socket.on('error', () => undefined);
    socket.on('data', (line: string) => {
      const outcome = memory.outcome();
      const question = JSON.parse(line) as Plan | 'look' | null; // FaultyDaemon sends nothing else
      if (question !== 'look') memory.set(question ?? undefined);
      socket.end(`${JSON.stringify(outcome)}\n`);
    });
    socket.unref();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  server.unref();
}
