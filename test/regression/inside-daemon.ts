// What a daemon allocates, and for how long its one thread answers nobody: `node --import` loads this file into it before
// anything else. The query of its URL names a socket, `?socket=PATH`; who connects sends one order and gets a line of JSON.
//
// Heap: node tells at each collection what was used before and after it, so the sum is what was allocated, whenever the
// collections come. Stalls: between two ticks of a timer, what the thread computed, as the kernel counts it, and for how
// long it was blocked (watch-thread.ts). What it waited for a processor meanwhile is the machine's doing, and counts nowhere.

import { once } from 'node:events';
import { openSync, readSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { GCProfiler, getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread, Worker } from 'node:worker_threads';
import { BEAT, BLOCKED_MS, END } from './watch-thread.js';

/** What can be asked for: to begin, and to end with the result. */
export type Order = 'begin heap' | 'end heap' | 'used heap' | 'begin stalls' | 'end stalls';

/** What was measured of the heap of the main thread. */
export interface HeapUse {
  allocatedBytes: number;
  /** what is in use more than before, once nothing is left to be collected */
  retainedBytes: number;
}

/** One time for which the main thread answered nobody. */
export interface Stall {
  ranMs: number;
  blockedMs: number;
}

const TICK_MS = 5;
/** Shorter ones are none. */
const STALL_MS = 50;

class HeapMeter {
  readonly #profiler = new GCProfiler();
  readonly #usedBytes: number;

  constructor() {
    this.#usedBytes = usedAfterCollection();
    this.#profiler.start();
  }

  end(): HeapUse {
    let allocatedBytes = getHeapStatistics().used_heap_size - this.#usedBytes;
    for (const { beforeGC, afterGC } of this.#profiler.stop().statistics) {
      allocatedBytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    }
    return { allocatedBytes, retainedBytes: usedAfterCollection() - this.#usedBytes };
  }
}

class StallMeter {
  readonly #stalls: Stall[] = [];
  readonly #shared = new Int32Array(new SharedArrayBuffer(3 * Int32Array.BYTES_PER_ELEMENT));
  readonly #timer = setInterval(() => this.#look(), TICK_MS);
  #ranMs = ranMs();

  /** Resolves once it measures. */
  static async begin(): Promise<StallMeter> {
    const meter = new StallMeter();
    const watcher = new Worker(new URL('./watch-thread.js', import.meta.url), { workerData: meter.#shared });
    await once(watcher, 'message');
    watcher.unref();
    return meter;
  }

  end(): Stall[] {
    clearInterval(this.#timer);
    this.#look();
    Atomics.store(this.#shared, END, 1);
    return this.#stalls;
  }

  #look(): void {
    const before = this.#ranMs;
    this.#ranMs = ranMs();
    Atomics.add(this.#shared, BEAT, 1);
    const stall = { ranMs: this.#ranMs - before, blockedMs: Atomics.exchange(this.#shared, BLOCKED_MS, 0) };
    if (stall.ranMs + stall.blockedMs > STALL_MS) this.#stalls.push(stall);
  }
}

const schedule = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
const buffer = Buffer.alloc(128);

/** For how long this thread has had a processor: the kernel counts it in nanoseconds. */
function ranMs(): number {
  const length = readSync(schedule, buffer, 0, buffer.length, 0);
  return Number(buffer.toString('latin1', 0, length).split(' ')[0]) / 1e6;
}

function usedAfterCollection(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void; // what that flag brings
  collect();
  collect(); // what the first one's finalizers let go of
  return getHeapStatistics().used_heap_size;
}

if (isMainThread) {
  let heap: HeapMeter | undefined;
  let stalls: StallMeter | undefined;
  const answers: Record<Order, () => unknown> = {
    'begin heap': () => void (heap = new HeapMeter()),
    'end heap': () => heap?.end(),
    'used heap': usedAfterCollection,
    'begin stalls': async () => void (stalls = await StallMeter.begin()),
    'end stalls': () => stalls?.end(),
  };
  const server = createServer((socket) => {
    socket.once('data', (order: Buffer) => {
      const answer = answers[order.toString() as Order]; // who asks is a test of ours
      void Promise.resolve(answer()).then((said) => socket.end(`${JSON.stringify(said ?? null)}\n`));
    });
  });
  const path = new URL(import.meta.url).searchParams.get('socket') ?? '';
  rmSync(path, { force: true }); // an earlier daemon's: node leaves it where a process ends at once
  server.listen(path);
  server.unref();
}
