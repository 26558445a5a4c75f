// That no two containers ever have the same address or port, whatever happens to the daemon, and that what they had can be
// had again.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { TestDaemon, until } from '../harness.js';
import { addressOf, answers, enterOf, inspect, portOf, removeAll, run, runServer } from './containers.js';
import { execute } from './namespace.js';
import { TestMachine } from './test-machine.js';

/** How many containers start in one moment. */
const MANY = 200;
/** A network with five addresses for containers. */
const SMALL = ['--bridge', 'small0', '--bip', '10.66.0.1/29'];
const SMALL_ADDRESSES = 5;
/** The steps of a start after which a daemon is killed. */
const AWKWARD_STEPS = ['call', 'create', 'mount', 'network', 'config', 'lxc-start', 'save', 'publish'];
const START_DEADLINE_MS = 60_000;

let machine: TestMachine;
let daemon: TestDaemon;
before(async () => {
  machine = await TestMachine.start();
  daemon = await machine.daemon();
});
after(async () => {
  await daemon.close();
  await machine.close();
});
afterEach(() => removeAll(daemon));

/** The interfaces that are joined to a bridge: the host's ends of the containers' veth pairs. */
async function joined(bridge = 'tsdock0'): Promise<string[]> {
  const links = JSON.parse(await machine.exec('ip', '-json', 'link', 'show', 'master', bridge)) as { ifname: string }[];
  return links.map(({ ifname }) => ifname).sort();
}

/** Waits until exactly the interfaces of these containers are joined to a bridge. */
async function joinedAre(ids: readonly string[], bridge?: string): Promise<void> {
  const wanted = ids.map((id) => `veth${id}`).sort();
  await until(async () => String(await joined(bridge)) === String(wanted), `these alone are joined: ${String(wanted)}`);
}

test('200 containers that start in one moment have 200 addresses and 200 ports, and a stop frees them', async () => {
  const ids = await Promise.all(Array.from({ length: MANY }, () => run(daemon, '-p', '80', 'base', 'sleep', '1000')));
  const settings = await Promise.all(ids.map(async (id) => (await inspect(daemon, id)).NetworkSettings));
  assert.equal(new Set(settings.map(({ IpAddress }) => IpAddress)).size, MANY);
  const ports = settings.map(({ PortMapping }) => Number(PortMapping?.['80']));
  assert.equal(new Set(ports).size, MANY);
  assert.ok(ports.every((port) => port >= 49_153 && port <= 65_535));
  await joinedAre(ids);
  const last = ids.at(-1) ?? '';
  const inside = await execute([...(await enterOf(daemon, last)), 'ip', '-4', 'addr']);
  assert.ok(inside.includes(` ${settings.at(-1)?.IpAddress ?? 'none'}/`), inside);
  assert.deepEqual(new Set(await Promise.all(ids.map((id) => daemon.call('rm', '-f', id)))), new Set(['']));
  await joinedAre([]);
  assert.ok(!(await machine.chains()).some((line) => line.includes('DNAT --to')), 'and their ports');
});

test('a container gives its address back, and one that has none left says so in one line', async () => {
  const small = await machine.daemon({ args: SMALL });
  // Twice as many runs, one after the other, as there are addresses.
  for (let i = 0; i < SMALL_ADDRESSES * 2; i++) {
    assert.match(
      await small.call('run', '-a', 'base', 'ip', '-4', 'addr', 'show', 'eth0'),
      /inet 10\.66\.0\.[2-6]\/29/,
    );
  }
  await removeAll(small);
  const replies = await Promise.all(Array.from({ length: 8 }, () => small.call('run', 'base', 'sleep', '1000')));
  const ids = replies.filter((reply) => /^[0-9a-f]{8}\n$/.test(reply)).map((reply) => reply.trim());
  const refused = replies.filter((reply) => /^Error: [^\n]*10\.66\.0\.1\/29[^\n]*\n$/.test(reply));
  assert.deepEqual([ids.length, refused.length], [SMALL_ADDRESSES, 3], replies.join(''));
  const addresses = await Promise.all(ids.map((id) => addressOf(small, id)));
  assert.equal(new Set(addresses).size, SMALL_ADDRESSES);
  // Nothing half-made: no container, no folder, no interface.
  assert.deepEqual((await small.call('ps', '-a', '-q')).split('\n').filter(Boolean).sort(), ids.sort());
  assert.deepEqual(readdirSync(join(small.directory, 'containers')).sort(), ids);
  await joinedAre(ids, 'small0');
  const [first = '', second = ''] = ids;
  assert.equal(await small.call('kill', first), '');
  assert.equal(
    await addressOf(small, await run(small, 'base', 'sleep', '1000')),
    addresses[replies.indexOf(`${first}\n`)] ?? '',
  );
  // A start that finds no address leaves the container stopped, as it was.
  assert.match(await small.call('start', first), /^Error: [^\n]*10\.66\.0\.1\/29[^\n]*\n$/);
  assert.equal((await inspect(small, first)).State.Running, false);
  assert.equal(await small.call('kill', second), '');
  assert.equal(await small.call('start', first), `${first}\n`);
  assert.equal((await inspect(small, first)).State.Running, true);
  await small.close();
});

test('start takes another address, as in March', async () => {
  const id = await run(daemon, 'base', 'sleep', '1000');
  const first = await addressOf(daemon, id);
  await daemon.call('kill', id);
  await daemon.call('start', id);
  assert.notEqual(await addressOf(daemon, id), first);
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`a daemon after ${signal} knows the addresses and ports of the containers that run`, async () => {
    const ids = await Promise.all(Array.from({ length: 6 }, (_, i) => runServer(daemon, `number ${i}`, '-p', '80')));
    const before = await Promise.all(ids.map(async (id) => (await inspect(daemon, id)).NetworkSettings));
    const [ended = '', ...others] = ids;
    const endedInit = (await enterOf(daemon, ended)).join(' ').replace(/\D*(\d+).*/, '$1');
    await daemon.end(signal);
    process.kill(Number(endedInit), 'SIGKILL'); // it ends while no daemon runs
    await daemon.begin();
    await daemon.stopped(ended);
    assert.equal((await inspect(daemon, ended)).NetworkSettings.IpAddress, '');
    const after = await Promise.all(others.map(async (id) => (await inspect(daemon, id)).NetworkSettings));
    assert.deepEqual(after, before.slice(1));
    for (const [i, { PortMapping }] of after.entries()) {
      await answers(machine.enter, '127.0.0.1', PortMapping?.['80'] ?? '', `number ${i + 1}`);
    }
    const added = await Promise.all(Array.from({ length: 6 }, () => run(daemon, '-p', '80', 'base', 'sleep', '1000')));
    const all = await Promise.all([...others, ...added].map(async (id) => (await inspect(daemon, id)).NetworkSettings));
    assert.equal(new Set(all.map(({ IpAddress }) => IpAddress)).size, all.length);
    assert.equal(new Set(all.map(({ PortMapping }) => PortMapping?.['80'])).size, all.length);
  });
}

test('a daemon that is killed in whatever moment of a start leaves nothing that is twice or in the way', async () => {
  const watched = await machine.daemon({ args: ['--bridge', 'watched0', '--bip', '10.67.0.1/28', '-D'] });
  for (const step of AWKWARD_STEPS) {
    const from = watched.log.length;
    // Their connections break with the daemon.
    const starts = Array.from({ length: 3 }, () =>
      watched.call('run', '-p', '80', 'base', 'sleep', '1000').catch(() => ''),
    );
    const deadline = performance.now() + START_DEADLINE_MS;
    while (!watched.log.slice(from).includes(`tsdock:${step} `)) {
      assert.ok(performance.now() < deadline, `waited in vain for the step ${step}`);
      await setImmediate();
    }
    await watched.end('SIGKILL');
    await Promise.all(starts);
    await watched.begin();
    const added = await Promise.all([1, 2].map(() => runServer(watched, 'added', '-p', '80')));
    const running = (await watched.call('ps', '-q')).split('\n').filter(Boolean);
    const settings = await Promise.all(running.map(async (id) => (await inspect(watched, id)).NetworkSettings));
    assert.equal(new Set(settings.map(({ IpAddress }) => IpAddress)).size, running.length, step);
    assert.equal(new Set(settings.map(({ PortMapping }) => PortMapping?.['80'])).size, running.length, step);
    for (const [i, id] of running.entries()) {
      const address = `${settings[i]?.IpAddress ?? 'none'}/28`;
      const enter = await enterOf(watched, id);
      const isInside = async (): Promise<boolean> =>
        (await execute([...enter, 'ip', '-4', 'addr'])).includes(` ${address} `);
      await until(isInside, `${step}: ${id} has ${address}`);
    }
    for (const id of added) await answers(machine.enter, '127.0.0.1', await portOf(watched, id), 'added');
    await joinedAre(running, 'watched0');
    await removeAll(watched);
    assert.ok(!(await machine.chains()).some((line) => line.includes('to-destination 10.67.')), step);
  }
  await watched.close();
});
