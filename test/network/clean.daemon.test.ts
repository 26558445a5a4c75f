// `tsdock -d --clean`: what a daemon made on the machine goes, what somebody else made stays.

import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupsOf, processesOf, PROGRAM, type TestDaemon, until } from '../harness.js';
import { answers, inspect, refusalOf, run, runServer } from './containers.js';
import { hasIptables, TestMachine } from './test-machine.js';

/** What `--clean` prints. */
const clean = (machine: TestMachine, directory: string, ...args: string[]): Promise<string> =>
  machine.exec(process.execPath, PROGRAM, '-d', '--clean', '-g', directory, ...args);

/** All that can be left of a daemon and its containers. */
async function traces(machine: TestMachine, { directory }: TestDaemon, ids: readonly string[]): Promise<string[]> {
  return [
    ...machine.mountsBelow(directory),
    ...processesOf(directory),
    ...cgroupsOf(ids),
    ...(await machine.links()),
    ...(await machine.chains()),
  ];
}

/** Ends a daemon in the middle of its work: two containers run, with ports, one has a terminal. */
async function killedDaemon(machine: TestMachine): Promise<{ daemon: TestDaemon; ids: string[] }> {
  const daemon = await machine.daemon();
  const ids = [
    await runServer(daemon, 'one', '-p', '80', '-p', '8080:81/udp'),
    await run(daemon, '-i', '-t', 'base', 'sh'),
    await run(daemon, '--net', 'none', 'base', 'sleep', '1000'),
    await run(daemon, '--net', 'host', 'base', 'sleep', '1000'),
  ];
  await daemon.end('SIGKILL');
  assert.ok((await traces(machine, daemon, ids)).length > 20);
  return { daemon, ids };
}

test('tsdock -d --clean takes off containers, mounts, cgroups, rules and bridge, says so, and leaves the data', async () => {
  const machine = await TestMachine.start();
  const { daemon, ids } = await killedDaemon(machine);
  const said = await clean(machine, daemon.directory);
  for (const name of ['tsdock0', ...ids]) assert.ok(said.includes(name), `${name}: ${said}`);
  assert.deepEqual(await traces(machine, daemon, ids), []);
  const again = await clean(machine, daemon.directory);
  for (const name of ['tsdock0', ...ids]) assert.ok(!again.includes(name), again);
  await daemon.begin();
  assert.deepEqual((await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean).sort(), ids.sort());
  assert.equal(await daemon.call('ps', '-q'), '');
  for (const id of ids) {
    const { State, NetworkSettings } = await inspect(daemon, id);
    assert.deepEqual([State.Running, NetworkSettings.IpAddress], [false, '']);
    assert.equal(await daemon.call('start', id), `${id}\n`);
  }
  await daemon.close();
  await machine.close();
});

test('tsdock -d --clean --data takes the data directory off too', async () => {
  const machine = await TestMachine.start();
  const { daemon, ids } = await killedDaemon(machine);
  await clean(machine, daemon.directory, '--data');
  assert.deepEqual(await traces(machine, daemon, ids), []);
  assert.equal(existsSync(daemon.directory), false);
  // The harness ends what it finds: a daemon in an empty directory.
  await daemon.begin();
  await daemon.close();
  await machine.close();
});

test('tsdock -d --clean finds bridge and rules where the record of them is lost, or the whole directory', async () => {
  const machine = await TestMachine.start();
  for (const lost of ['network.json', '']) {
    const daemon = await machine.daemon();
    await run(daemon, '-p', '80', 'base', 'true').then((id) => daemon.stopped(id));
    await daemon.end('SIGKILL');
    rmSync(join(daemon.directory, lost), { recursive: true });
    assert.match(await clean(machine, daemon.directory), /tsdock0/);
    assert.deepEqual([await machine.links(), await machine.chains()], [[], []]);
    assert.equal(existsSync(daemon.directory), lost !== '', 'what is not there is not made');
    await daemon.close();
  }
  await machine.close();
});

test('tsdock -d --clean is refused while a daemon runs on the directory, and changes nothing', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  const id = await run(daemon, 'base', 'sh', '-c', 'echo up; exec sleep 1000');
  await until(async () => (await daemon.call('logs', id)) === 'up\n', 'LXC has made all that it makes');
  const before = await traces(machine, daemon, [id]);
  const command = [...machine.enter, process.execPath, PROGRAM, '-d', '--clean', '-g', daemon.directory];
  for (const args of [[], ['--data']]) {
    assert.match(await refusalOf([...command, ...args]), new RegExp(`${daemon.directory}.*${daemon.pid}`));
  }
  assert.deepEqual(await traces(machine, daemon, [id]), before);
  assert.equal((await inspect(daemon, id)).State.Running, true);
  await daemon.close();
  await machine.close();
});

test('tsdock -d --clean --data refuses a directory that is not of a daemon', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  const folder = join(daemon.directory, 'images'); // there are files in it, but no data directory is it
  const before = readdirSync(folder);
  const command = [...machine.enter, process.execPath, PROGRAM, '-d', '--clean', '--data', '-g', folder];
  assert.ok((await refusalOf(command)).includes(folder));
  assert.deepEqual(readdirSync(folder), before);
  await daemon.close();
  await machine.close();
});

test('tsdock -d --clean leaves the rules, chains and bridges of others, and other daemons', async () => {
  const machine = await TestMachine.start();
  await machine.namespace.ip('link add their0 type bridge', 'addr add 10.77.0.1/24 dev their0');
  for (const rule of [
    'nat -N TSDOCKING',
    'nat -A POSTROUTING -s 10.77.0.0/24 -j MASQUERADE',
    'nat -A PREROUTING -p tcp --dport 4000 -j DNAT --to-destination 10.77.0.2:40',
    'filter -A FORWARD -i their0 -j ACCEPT',
    'filter -A INPUT -i tsdock0 -p icmp -j ACCEPT',
    'filter -P FORWARD DROP',
  ]) {
    await machine.exec('iptables', '-t', ...rule.split(' '));
  }
  const rules = async (): Promise<string[]> =>
    (await machine.exec('iptables-save')).split('\n').filter((line) => !line.startsWith('#'));
  const before = await rules();
  const other = await machine.daemon({ args: ['--bridge', 'other0', '--bip', '10.78.0.1/24'] });
  const withOther = [await rules(), await machine.exec('ip', '-4', '-o', 'addr', 'show', 'other0')];
  const id = await run(other, 'base', 'sleep', '1000');
  const daemon = await machine.daemon();
  await run(daemon, '-p', '80', 'base', 'sleep', '1000');
  await daemon.close();
  assert.deepEqual([await rules(), await machine.exec('ip', '-4', '-o', 'addr', 'show', 'other0')], withOther);
  assert.equal((await inspect(other, id)).State.Running, true);
  await other.close();
  assert.deepEqual(await rules(), before);
  assert.deepEqual(await machine.links(), ['their0']);
  await machine.exec('iptables', '-t', 'nat', '-X', 'TSDOCKING');
  await machine.namespace.ip('link del their0');
  await machine.close();
});

test('tsdock -d --clean leaves a daemon of another directory alone, also where both would have the same bridge', async () => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon();
  const id = await runServer(daemon, 'still here', '-p', '8080:80');
  await answers(machine.enter, '127.0.0.1', 8080, 'still here');
  const bare = await machine.daemon({ args: ['--bridge', 'none'] });
  await bare.end('SIGKILL');
  const before = await traces(machine, daemon, [id]);
  await clean(machine, bare.directory);
  assert.deepEqual(await traces(machine, daemon, [id]), before);
  await answers(machine.enter, '127.0.0.1', 8080, 'still here');
  await bare.close();
  await daemon.close();
  await machine.close();
});

test(
  'tsdock -d --clean takes off what a daemon with another back end of iptables wrote',
  { skip: !hasIptables('nft') || !hasIptables('legacy') },
  async () => {
    for (const [iptables, other] of [
      ['nft', 'legacy'],
      ['legacy', 'nft'],
    ] as const) {
      const machine = await TestMachine.start({ iptables });
      const { daemon, ids } = await killedDaemon(machine);
      machine.useIptables(other);
      await clean(machine, daemon.directory);
      assert.deepEqual(await traces(machine, daemon, ids), []);
      await daemon.close();
      await machine.close();
    }
  },
);
