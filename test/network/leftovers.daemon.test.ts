// What must not stay behind, or be given twice, where something else than the daemon has had its hands in the network.

import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { TestDaemon, until } from '../harness.js';
import { addressOf, answers, ask, inspect, run, runServer, speaker } from './containers.js';
import { TestMachine } from './test-machine.js';

/** Starts a container in the network of another, and waits until it is there: its id. */
async function share(daemon: TestDaemon, owner: string): Promise<string> {
  const id = await run(daemon, '-net', `container:${owner}`, 'base', 'sh', '-c', 'echo up; exec sleep 1000');
  await until(async () => (await daemon.call('logs', id)) === 'up\n', 'it shares the network');
  return id;
}

test('the bridge takes no IPv6, by which a container could become the router of the host', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  assert.equal(await machine.exec('cat', '/proc/sys/net/ipv6/conf/tsdock0/disable_ipv6'), '1\n');
  assert.equal(await machine.exec('ip', '-6', 'addr', 'show', 'dev', 'tsdock0'), '');
  await daemon.close();
  await machine.close();
});

test('a container whose LXC was killed while another shares its network gives its address back and starts again', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon({ args: ['--bip', '10.66.1.1/29'] });
  const owner = await run(daemon, 'base', 'sleep', '1000');
  const first = await addressOf(daemon, owner);
  const sharer = await share(daemon, owner);
  process.kill((await inspect(daemon, owner)).State.Pid, 'SIGKILL');
  await daemon.stopped(owner);
  assert.ok(!(await machine.links()).includes(`veth${owner}`));
  assert.equal(await daemon.call('start', owner), `${owner}\n`);
  await until(async () => (await machine.links()).includes(`veth${owner}`), 'it is on the bridge again');
  // Of five addresses one is in use: four more containers, each with its own, and none that the sharer still answers at.
  const others = await Promise.all([1, 2, 3, 4].map(() => run(daemon, 'base', 'sleep', '1000')));
  const addresses = await Promise.all([owner, ...others].map((id) => addressOf(daemon, id)));
  assert.equal(new Set(addresses).size, 5);
  assert.ok(addresses.includes(first));
  assert.match(await daemon.call('kill', sharer), /^$/);
  await daemon.close();
  await machine.close();
});

test('the same while no daemon runs: the next one takes the interface away', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  const owner = await run(daemon, 'base', 'sleep', '1000');
  const sharer = await share(daemon, owner);
  const { Pid } = (await inspect(daemon, owner)).State;
  await daemon.end();
  process.kill(Pid, 'SIGKILL');
  await until(() => !existsSync(`/proc/${Pid}`), 'its LXC has ended');
  assert.ok((await machine.links()).includes(`veth${owner}`), 'the sharer keeps it');
  await daemon.begin();
  assert.ok(!(await machine.links()).includes(`veth${owner}`));
  assert.equal(await daemon.call('kill', sharer), '');
  await daemon.close();
  await machine.close();
});

test('a published port of a container on a bridge of earlier is known, and taken back when the container ends', async () => {
  const machine = await TestMachine.start();
  const before = await machine.daemon({ args: ['--bridge', 'early0'] });
  const id = await runServer(before, 'early', '-p', '8200:80');
  await answers(machine.enter, '127.0.0.1', 8200, 'early');
  await before.end();
  const { directory } = before;
  const daemon = await TestDaemon.start({ directory, network: machine, args: ['--bridge', 'late0'], withImage: false });
  await answers(machine.enter, '127.0.0.1', 8200, 'early');
  assert.match(await daemon.call('run', '-p', '8200:80', 'base', 'true'), /in use by container/);
  assert.equal(await daemon.call('kill', id), '');
  assert.equal(await ask(machine.enter, '127.0.0.1', 8200), '');
  const end = await speaker(machine.namespace, '0.0.0.0', '8200', 'a program of the host');
  end();
  await daemon.close();
  await machine.close();
});

test('no container gets an address that the host has on the bridge beside the first', async () => {
  const machine = await TestMachine.start();
  await machine.namespace.ip(
    'link add name lab0 type bridge',
    'addr add 10.88.0.1/29 dev lab0',
    'addr add 10.88.0.2/29 dev lab0',
  );
  const daemon = await machine.daemon({ args: ['--bridge', 'lab0'] });
  const ids = await Promise.all([1, 2, 3, 4].map(() => run(daemon, 'base', 'sleep', '1000')));
  const addresses = await Promise.all(ids.map((id) => addressOf(daemon, id)));
  assert.deepEqual(addresses.sort(), ['10.88.0.3', '10.88.0.4', '10.88.0.5', '10.88.0.6']);
  assert.match(await daemon.call('run', 'base', 'true'), /^Error: Cannot give the container an address: /);
  await daemon.close();
  await machine.namespace.ip('link delete dev lab0');
  await machine.close();
});

test('containers stay on a bridge whose address somebody took away, and it is given again', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  const id = await runServer(daemon, 'hello', '-p', '8300:80');
  await daemon.end();
  await machine.exec('ip', 'addr', 'flush', 'dev', 'tsdock0');
  await daemon.begin();
  await answers(machine.enter, '127.0.0.1', 8300, 'hello');
  await answers(machine.enter, await addressOf(daemon, id), 80, 'hello');
  await daemon.close();
  await machine.close();
});

test('rules that somebody has flushed are written again with the next port that is published', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  await runServer(daemon, 'one', '-p', '8401:80');
  for (const table of ['nat', 'filter']) {
    await machine.exec('iptables', '-t', table, '-F');
    await machine.exec('iptables', '-t', table, '-X');
  }
  assert.equal(await ask(machine.enter, '127.0.0.1', 8401), '');
  await runServer(daemon, 'two', '-p', '8402:80');
  await answers(machine.enter, '127.0.0.1', 8402, 'two');
  await answers(machine.enter, '127.0.0.1', 8401, 'one');
  await daemon.close();
  await machine.close();
});
