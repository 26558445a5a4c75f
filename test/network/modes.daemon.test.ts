// Whose network a container has: `run --net`.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { TestDaemon } from '../harness.js';
import { answers, enterOf, inspect, removeAll, run, runServer } from './containers.js';
import { TestMachine } from './test-machine.js';

const ONE_ERROR = /^Error: [^\n]+\n$/;
/** What a program in a container is asked to do to the network of the host. */
const HARM = `sysctl -w net.ipv4.ip_forward=0
echo 5 > /proc/sys/net/ipv4/ip_default_ttl
echo "0 0" > /proc/sys/net/ipv4/ping_group_range
ip link set lo down
ip addr add 203.0.113.1/32 dev lo
ip link add evil type dummy
ip route add blackhole 203.0.113.0/24
echo done`;

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

/** Fails where a refused run left a container or a folder. */
async function refused(...words: string[]): Promise<string> {
  const state = async (): Promise<string[]> => [
    await daemon.call('ps', '-a', '-q'),
    ...readdirSync(join(daemon.directory, 'containers')),
  ];
  const before = await state();
  const reply = await daemon.call('run', ...words);
  assert.match(reply, /^(Error: |invalid value )/, words.join(' '));
  assert.deepEqual(await state(), before, words.join(' '));
  return reply;
}

/** What of the machine's network a container could spoil. */
async function networkOfMachine(): Promise<string[]> {
  const names = ['ip_forward', 'ip_default_ttl', 'ping_group_range'].map((name) => `/proc/sys/net/ipv4/${name}`);
  const settings = await machine.exec('cat', ...names);
  const links = await machine.exec('ip', '-o', '-4', 'addr');
  // Whether anything is up on the bridge at this moment changes with the containers that come and go.
  const routes = (await machine.exec('ip', 'route')).replaceAll(' linkdown', '');
  return [settings, links, await machine.exec('ip', 'link', 'show', 'lo'), routes];
}

test('run --net bridge is what run does by default', async () => {
  for (const flags of [[], ['--net', 'bridge'], ['-net=bridge']]) {
    assert.match(
      await daemon.call('run', '-a', ...flags, 'base', 'ip', '-4', '-o', 'addr', 'show', 'eth0'),
      / inet 172\./,
    );
  }
});

test('run --net none has nothing but loopback, also after a start', async () => {
  const id = await run(
    daemon,
    '--net',
    'none',
    'base',
    'sh',
    '-c',
    'ls /sys/class/net; ip -4 -o addr show lo; ip route',
  );
  await daemon.stopped(id);
  await daemon.call('start', id);
  await daemon.stopped(id);
  assert.match(await daemon.call('logs', id), /^(lo\n1: lo +inet 127\.0\.0\.1\/8 [^\n]*\n){2}$/);
  const running = await run(daemon, '--net', 'none', 'base', 'sleep', '1000');
  const { IpAddress, IpPrefixLen, Gateway } = (await inspect(daemon, running)).NetworkSettings;
  assert.deepEqual([IpAddress, IpPrefixLen, Gateway], ['', 0, '']);
  assert.deepEqual(
    (await machine.links()).filter((name) => name.startsWith('veth')),
    [],
  );
});

test('run --net host has the network of the host', async () => {
  const id = await runServer(daemon, 'on the host', '--net', 'host');
  await answers(machine.enter, '127.0.0.1', 80, 'on the host');
  await answers(machine.enter, machine.address, 80, 'on the host');
  const links = await daemon.call('run', '-a', '--net', 'host', 'base', 'ls', '/sys/class/net');
  assert.deepEqual(links.split('\n').filter(Boolean).sort(), (await machine.namespace.links()).sort());
  // Where nobody listens, netcat tells the address that it found a name to have.
  const names = 'nc localhost 9; nc $(hostname) 9';
  const found = await daemon.call('run', '-a', '--net', 'host', 'base', 'sh', '-c', names);
  assert.match(found, /\(127\.0\.0\.1\)[^]*\(127\.0\.1\.1\)/);
  assert.equal((await inspect(daemon, id)).NetworkSettings.IpAddress, '');
});

test('run --net host cannot change the settings and the interfaces of the host', async () => {
  const before = await networkOfMachine();
  const host = await run(daemon, '--net', 'host', 'base', 'sleep', '1000');
  // To share with a container that has the network of the host is to have it too.
  for (const flags of [
    ['--net', 'host'],
    ['-t', '--net', 'host'],
    ['--net', `container:${host}`],
  ]) {
    const reply = await daemon.call('run', '-a', ...flags, 'base', 'sh', '-c', HARM);
    assert.match(reply, /^done\r?$/m);
    assert.deepEqual(await networkOfMachine(), before, reply);
  }
  assert.deepEqual(await networkOfMachine(), before, 'nor does its end');
});

test('run --net bridge cannot change the settings of the host either', async () => {
  const before = (await networkOfMachine())[0];
  assert.match(await daemon.call('run', '-a', 'base', 'sh', '-c', HARM), /^done$/m);
  assert.equal((await networkOfMachine())[0], before);
});

test('run --net container:ID shares the interfaces and 127.0.0.1 of another container', async () => {
  const first = await runServer(daemon, 'shared');
  const address = (await inspect(daemon, first)).NetworkSettings.IpAddress;
  await answers(await enterOf(daemon, first), '127.0.0.1', 80, 'shared');
  const script = 'ls /sys/class/net; ip -4 -o addr show eth0; nc 127.0.0.1 80 < /dev/null; hostname';
  const printed = await daemon.call('run', '-a', '--net', `container:${first}`, 'base', 'sh', '-c', script);
  assert.match(printed, new RegExp(`^eth0\nlo\n[^\n]* inet ${address}/16 [^\n]*\nshared\n[0-9a-f]{8}\n$`));
  // One that shares with one that shares has the same, also after a daemon was killed and another came.
  const second = await run(daemon, '--net', `container:${first}`, 'base', 'sleep', '1000');
  await daemon.end('SIGKILL');
  await daemon.begin();
  const third = await daemon.call('run', '-a', '--net', `container:${second}`, 'base', 'nc', '127.0.0.1', '80');
  assert.equal(third, 'shared\n');
  // What shares outlives what it shares with.
  await daemon.call('kill', first);
  assert.equal((await inspect(daemon, second)).State.Running, true);
  assert.equal(await daemon.call('kill', second), '');
  assert.match(await daemon.call('start', second), new RegExp(`^Error: [^\n]*${first}[^\n]*\n$`));
  // Both again: the network is that of the new run.
  await daemon.call('start', first);
  await daemon.call('start', second);
  const [one, two] = await Promise.all([first, second].map(async (id) => (await enterOf(daemon, id)).join(' ')));
  const namespaces = await Promise.all([one, two].map((enter) => machine.exec('readlink', enter?.split('=')[1] ?? '')));
  assert.equal(namespaces[0], namespaces[1]);
});

test('run --net container:ID is refused where that container does not run, or is not there', async () => {
  assert.match(await refused('--net', 'container:0123abcd', 'base', 'true'), /^Error: [^\n]*0123abcd[^\n]*\n$/);
  const stopped = await run(daemon, 'base', 'true');
  await daemon.stopped(stopped);
  assert.match(
    await refused('--net', `container:${stopped}`, 'base', 'true'),
    new RegExp(`^Error: [^\n]*${stopped}[^\n]*\n$`),
  );
});

test('run --net refuses what is no mode', async () => {
  for (const mode of [
    'nonsense',
    'container:',
    'container',
    'container:../x',
    'HOST',
    'host:1',
    'none none',
    'host\nx',
  ]) {
    assert.ok((await refused('--net', mode, 'base', 'true')).includes(mode.split('\n')[0] ?? ''), mode);
  }
});

test('run -p is refused with every mode but bridge', async () => {
  const id = await run(daemon, 'base', 'sleep', '1000');
  for (const mode of ['none', 'host', `container:${id}`]) {
    assert.match(await refused('--net', mode, '-p', '80', 'base', 'true'), ONE_ERROR);
  }
});

test('run --net host and container:ID work without a bridge; run --net bridge is refused with the reason', async () => {
  const bare = await machine.daemon({ args: ['--bridge', 'none'] });
  assert.equal(await bare.call('run', '-a', 'base', 'ls', '/sys/class/net'), 'lo\n');
  assert.match(await bare.call('run', '-a', '--net', 'host', 'base', 'ls', '/sys/class/net'), /^up0$/m);
  const id = await runServer(bare, 'alone');
  await answers(await enterOf(bare, id), '127.0.0.1', 80, 'alone');
  assert.equal(await bare.call('run', '-a', '--net', `container:${id}`, 'base', 'nc', '127.0.0.1', '80'), 'alone\n');
  assert.match(await bare.call('run', '--net', 'bridge', 'base', 'true'), /^Error: [^\n]*--bridge none[^\n]*\n$/);
  await bare.close();
});
