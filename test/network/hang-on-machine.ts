// A test that never ends, for test-machine.daemon.test.ts to kill: a daemon with running containers on a machine of its own,
// beside another machine. Says what it has made.

import { TestMachine } from './test-machine.js';
import { run, runServer } from './containers.js';

const machine = await TestMachine.start();
const neighbour = await machine.neighbour();
const daemon = await machine.daemon();
const ids = [
  await runServer(daemon, 'hello', '-p', '80'),
  await run(daemon, '--net', 'host', '-i', '-t', 'base', 'sh'),
];
const { directory, pid } = daemon;
const pids = [pid, machine.namespace.pid, neighbour.namespace.pid];
process.stdout.write(`${JSON.stringify({ directory, pids, ids, address: machine.address })}\n`);
setInterval(() => undefined, 1_000);
