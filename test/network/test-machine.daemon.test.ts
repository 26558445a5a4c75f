// The machines of these tests go with the test, however it ends.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { fileURLToPath } from 'node:url';
import { cgroupsOf, processesOf, until } from '../harness.js';
import { TestMachine } from './test-machine.js';

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
    const left = (): string[] => [
      ...pids.filter((pid) => existsSync(`/proc/${pid}`)).map((pid) => `process ${pid}`),
      ...processesOf(directory),
      ...cgroupsOf(ids),
      ...(existsSync(directory) ? [directory] : []),
      ...(hasAddress(ownEnd(address)) ? [address] : []),
    ];
    await until(() => left().length > 20, 'LXC has made what it makes');
    child.kill(signal);
    await until(() => left().length === 0, 'nothing is left').catch(() => assert.deepEqual(left(), []));
  });
}

test('TestMachine is gone once it is closed, also where a connection from there still has something to deliver', async () => {
  const machine = await TestMachine.start();
  const own = ownEnd(machine.address);
  const server = createServer({ pauseOnConnect: true }).listen(0, own);
  await once(server, 'listening');
  const connected = once(server, 'connection') as Promise<[Socket]>;
  const { port } = server.address() as AddressInfo; // a server over TCP
  const client = machine.namespace.spawn('sh', '-c', `head -c 20000000 /dev/zero | exec nc ${own} ${port}`);
  const [socket] = await connected;
  client.kill();
  await machine.close();
  const isGone = !hasAddress(own);
  socket.destroy();
  server.close();
  assert.ok(isGone, 'the way there is gone');
});

/** The address at this end of the way to a TestMachine that has `address`. */
function ownEnd(address: string): string {
  return address.replace(/\d+$/, (last) => String(Number(last) - 1));
}

function hasAddress(address: string): boolean {
  return Object.values(networkInterfaces()).some((list = []) => list.some((each) => each.address === address));
}
