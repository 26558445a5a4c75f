// The part of own-machine.ts that runs on the machine made for it: starts daemons, plays the cases, ends the daemons.
//
//     inside-machine.js FOLDER OPTIONS...
//
// Each daemon has its own bridge, and a data directory below the folder.

import { execute } from '../network/namespace.js';
import { mountsBelow, PROGRAM, TestDaemon, type TestNetwork } from '../harness.js';
import { readOptions, type Options } from './options.js';
import { directoryOf } from './own-machine.js';
import { add, conclude, playTransports } from './plays.js';
import { slowFirst } from './selection.js';
import type { Target } from './target.js';

const HERE: TestNetwork = {
  enter: [],
  address: '127.0.0.1',
  environment: process.env,
  guard: () => undefined, // done by who started this
  mountsBelow,
  clean: async (directory) => {
    await execute([process.execPath, PROGRAM, '-d', '--clean', '--bridge', 'none', '-g', directory]);
  },
};

const [folder = '', ...args] = process.argv.slice(2);
const options = readOptions(args);
const print = (line: string): void => console.log(line);
const sum = { passed: 0, failed: 0, skipped: 0 };
for (const driver of options.drivers) add(sum, await playOn(driver));
process.exitCode = conclude(sum, print);

async function playOn(driver: string): ReturnType<typeof playTransports> {
  const daemons: TestDaemon[] = [];
  try {
    for (let n = 0; n < options.daemons; n++) daemons.push(await startDaemon(driver, n));
    const targets = daemons.map((daemon) => targetOf(daemon, options));
    const again = `npm run conformance -- --drivers ${driver}`;
    return await playTransports(targets, options, { again, suffix: ` on ${driver}`, inOrder: slowFirst }, print);
  } finally {
    // One after the other, and each of them, whatever the others left behind.
    for (const daemon of daemons) await daemon.close().catch(fail);
  }
}

function startDaemon(driver: string, n: number): Promise<TestDaemon> {
  const args = ['--bridge', `conf${n}`, ...(driver === 'default' ? [] : ['--driver', driver])];
  return TestDaemon.start({ directory: directoryOf(folder, n), args, network: HERE, withImage: false });
}

function targetOf(daemon: TestDaemon, { timeoutMs, usage }: Options): Target {
  const colon = daemon.http.lastIndexOf(':');
  return {
    tcp: daemon.tcp,
    http: { host: daemon.http.slice(0, colon), port: Number(daemon.http.slice(colon + 1)) },
    root: daemon.directory,
    restart: async () => {
      await daemon.end();
      await daemon.begin();
    },
    hasNetwork: true,
    hasTerm: true,
    usage,
    timeoutMs,
  };
}

function fail(error: unknown): void {
  print(`FAIL at the end of a daemon: ${error instanceof Error ? error.message : String(error)}`);
  sum.failed++;
}
