// The machines of these tests go with the test, however it ends.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cgroupsOf, processesOf, until } from '../harness.js';

const HANG = fileURLToPath(new URL('hang-on-machine.js', import.meta.url));

/** What hang-on-machine.ts says. */
interface Made {
  directory: string;
  pids: number[];
  ids: string[];
  address: string;
}

for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
  test(`TestMachine is gone, with daemon and containers, when its test is ended by ${signal}`, async () => {
    const child = spawn(process.execPath, [HANG], { stdio: ['ignore', 'pipe', 'inherit'] });
    let said = '';
    child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await until(() => said.endsWith('\n') || child.exitCode !== null, 'the machine is there');
    const { directory, pids, ids, address } = JSON.parse(said) as Made; // its own format
    const network = address.replace(/\d+$/, '');
    const left = (): string[] => [
      ...pids.filter((pid) => existsSync(`/proc/${pid}`)).map((pid) => `process ${pid}`),
      ...processesOf(directory),
      ...cgroupsOf(ids),
      ...(existsSync(directory) ? [directory] : []),
      ...Object.values(networkInterfaces()).flatMap((list = []) =>
        list.map((each) => each.address).filter((own) => own.startsWith(network)),
      ),
    ];
    await until(() => left().length > 20, 'LXC has made what it makes');
    child.kill(signal);
    await until(() => left().length === 0, 'nothing is left').catch(() => assert.deepEqual(left(), []));
  });
}
