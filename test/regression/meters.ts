// A daemon with meters in it (inside-daemon.ts), and how they are asked.

import { rmSync } from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAll, TestDaemon } from '../harness.js';
import type { HeapUse, Order, Stall } from './inside-daemon.js';

/** A daemon, and what it says of itself. */
export interface MeteredDaemon {
  daemon: TestDaemon;
  close: () => Promise<void>;
  /** What it allocates while something is done. */
  heapUse: (action: () => Promise<unknown>) => Promise<HeapUse>;
  /** What is in use of its heap, in bytes. */
  heapUsed: () => Promise<number>;
  /** For how long it answers nobody while something is done. */
  stalls: (action: () => Promise<unknown>) => Promise<Stall[]>;
}

/** Starts one, with the image `base`. */
export async function meteredDaemon(): Promise<MeteredDaemon> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'tsdock-test-')));
  const socket = `${directory}.meters`;
  const preload = new URL(`./inside-daemon.js?socket=${socket}`, import.meta.url).href;
  const daemon = await TestDaemon.start({ directory, environment: { NODE_OPTIONS: `--import=${preload}` } });
  const ask = async (order: Order): Promise<unknown> => {
    const connection = connect(socket);
    connection.write(order);
    return JSON.parse((await readAll(connection)).toString());
  };
  return {
    daemon,
    close: async () => {
      await daemon.close();
      rmSync(socket, { force: true });
    },
    heapUse: async (action) => {
      await ask('begin heap');
      await action();
      return (await ask('end heap')) as HeapUse; // as inside-daemon.ts says
    },
    heapUsed: async () => (await ask('used heap')) as number, // as above
    stalls: async (action) => {
      await ask('begin stalls');
      await action();
      return (await ask('end stalls')) as Stall[]; // as above
    },
  };
}
