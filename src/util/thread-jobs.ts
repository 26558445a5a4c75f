// Gives a job a thread: one of the same file that rests, or else a new one.
//
// What packs, unpacks and copies trees calls it. A thread is kept when its job has ended, because one that ends leaves things
// behind in the process: koffi frees nothing of what it set up for it (23 KB, three mappings, 3 MiB of addresses), and a
// daemon that ended a thread for each job would have no mapping left after some 21,000 of them. It also has its modules loaded.
//
// The rule that must hold: when a job has ended, nothing of it is under way, and its thread rests or is gone. No thread is
// ended while it has a job, since its descriptors belong to the process and would stay open: the job ends it by its own means.

import { MessageChannel, type MessagePort, type Worker } from 'node:worker_threads';
import { startWorker } from './program-files.js';
import type { JobStart } from './serve-jobs.js';

/** How many threads of one file rest at most, of some 10 MB each. Those above that end: that more are needed is rare. */
export const RESTING_THREADS = 2;
/** Of what a thread makes and soon needs no more; without a bound of its own it would come to hold 48 MB, and rest with it. */
const YOUNG_MEMORY_MB = 12;

/** Who is told what comes of a job. */
export interface JobListener<Said> {
  onMessage: (said: Said) => void;
  /** The thread itself has failed; the end follows. */
  onError: (error: Error) => void;
}

/** A job under way. */
export interface ThreadJob {
  /** our end of its connection; the job closes it */
  port: MessagePort;
  /** Resolves when nothing of it is under way any more, after all its messages. Never rejects. */
  ended: Promise<void>;
}

/** By the address of their file. They belong to the process, as what koffi leaves behind does. */
const resting = new Map<string, Thread[]>();

/** Starts a job in a thread whose compiled file is at `url` and calls `serveJobs`. `data` is copied. */
export function startJob<Said>(url: URL, name: string, data: unknown, listener: JobListener<Said>): ThreadJob {
  const idle = resting.get(url.href) ?? [];
  resting.set(url.href, idle);
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MEMORY_MB };
  const thread = idle.pop() ?? new Thread(startWorker(url, { name, resourceLimits }), idle);
  return thread.start(data, listener);
}

// Owns its worker, from the start to its exit.
class Thread {
  readonly #worker: Worker;
  readonly #resting: Thread[];
  #onError: (error: Error) => void = ignore;
  #onLeft: () => void = ignore;

  constructor(worker: Worker, resting: Thread[]) {
    this.#worker = worker;
    this.#resting = resting;
    worker.on('message', () => this.#rest()); // it has one thing to say: that it is done with its job
    worker.on('error', (error) => this.#onError(error));
    worker.once('exit', () => this.#exit());
  }

  start<Said>(data: unknown, { onMessage, onError }: JobListener<Said>): ThreadJob {
    const { port1: port, port2: itsPort } = new MessageChannel();
    const left = new Promise<void>((resolve) => (this.#onLeft = resolve));
    const closed = new Promise<void>((resolve) => port.once('close', resolve)); // also where the thread has died
    this.#onError = onError;
    port.on('message', onMessage);
    this.#worker.ref();
    const start: JobStart = { port: itsPort, data };
    this.#worker.postMessage(start, [itsPort]);
    return { port, ended: Promise.all([left, closed]).then(ignore) };
  }

  #rest(): void {
    if (this.#resting.length >= RESTING_THREADS) {
      this.#worker.terminate().catch(ignore); // nothing of it is open any more; the job ends with its exit
      return;
    }
    this.#resting.push(this);
    this.#worker.unref(); // it keeps no process alive
    this.#leave();
  }

  #exit(): void {
    const at = this.#resting.indexOf(this);
    if (at >= 0) this.#resting.splice(at, 1);
    this.#leave();
  }

  #leave(): void {
    this.#onLeft();
    this.#onLeft = ignore;
    this.#onError = ignore;
  }
}

function ignore(): void {
  // there is nothing to be told
}
