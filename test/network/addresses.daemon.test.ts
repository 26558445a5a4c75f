// The address of a container: what is seen of it inside, and by `inspect`.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { TestDaemon, until } from '../harness.js';
import { inspect, portOf, removeAll, run } from './containers.js';
import { TestMachine } from './test-machine.js';

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

/** What a command in a new container prints. */
const output = (script: string, image = 'base'): Promise<string> => daemon.call('run', '-a', image, 'sh', '-c', script);

/** The host's ends of the containers' veth pairs. */
const veths = async (): Promise<string[]> => (await machine.links()).filter((name) => name.startsWith('veth'));

test('a container has lo and eth0, with the address, the route and the hardware address that inspect tells', async () => {
  const id = await run(
    daemon,
    'base',
    'sh',
    '-c',
    'ls /sys/class/net; cat /sys/class/net/eth0/mtu /sys/class/net/eth0/address; ip -4 -o addr | awk "{print \\$2, \\$4}"; ip route; sleep 1000',
  );
  const { IpAddress, IpPrefixLen, Gateway } = (await inspect(daemon, id)).NetworkSettings;
  const mac = IpAddress.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  const network = IpAddress.replace(/\.\d+\.\d+$/, '.0.0');
  const expected = [
    'eth0',
    'lo',
    '1500',
    `02:42:${mac.join(':')}`,
    'lo 127.0.0.1/8',
    `eth0 ${IpAddress}/${IpPrefixLen}`,
    `default via ${Gateway} dev eth0 `,
    `${network}/16 dev eth0 scope link  src ${IpAddress} `,
  ];
  let logged: string[] = [];
  await until(
    async () => (logged = (await daemon.call('logs', id)).split('\n')).length > expected.length,
    'it printed',
  );
  assert.deepEqual(logged.slice(0, -1), expected);
  assert.deepEqual(await veths(), [`veth${id}`]);
  await removeAll(daemon);
  await until(async () => (await veths()).length === 0, 'its interface is gone');
});

test('a container has /etc/hosts and /etc/hostname of its own, and a /etc/resolv.conf that works', async () => {
  const printed = await output('hostname; cat /etc/hostname; ip -4 -o addr show eth0; cat /etc/hosts');
  const [hostname = '', file, address = '', ...hosts] = printed.split('\n');
  assert.match(hostname, /^[0-9a-f]{8}$/);
  assert.equal(file, hostname);
  const [, own = ''] = /inet ([\d.]+)/.exec(address) ?? [];
  assert.ok(
    hosts.some((line) => line.split(/\s+/)[0] === own && line.split(/\s+/).includes(hostname)),
    hosts.join('\n'),
  );
  assert.ok(
    hosts.some((line) => /^127\.0\.0\.1\s+localhost\b/.test(line)),
    hosts.join('\n'),
  );
  // Where nobody listens, netcat tells the address that it found a name to have.
  for (const [name, found] of [
    ['localhost', '127.0.0.1'],
    ['$(hostname)', '$(ip -4 -o addr show eth0 | sed "s|.*inet ||; s|/.*||")'],
  ] as const) {
    assert.match(await output(`nc ${name} 9 2>&1 | grep -c "(${found})"`), /^1\n$/, name);
  }
  const resolvConf = await output('cat /etc/resolv.conf; echo x >> /etc/resolv.conf');
  assert.match(resolvConf, /^nameserver /m);
  assert.doesNotMatch(resolvConf, /^nameserver (127\.|::1)/m);
  assert.match(resolvConf, /resolv\.conf: Read-only file system/);
});

test('diff, commit and tar show nothing of these files, also where the program changed them', async () => {
  const quiet = await run(daemon, 'base', 'true');
  await daemon.stopped(quiet);
  assert.equal(await daemon.call('diff', quiet), '');
  const id = await run(
    daemon,
    'base',
    'sh',
    '-c',
    'echo 192.0.2.9 mine >> /etc/hosts; cat /etc/hosts; echo h > /etc/hostname',
  );
  await daemon.stopped(id);
  assert.match(await daemon.call('logs', id), /192\.0\.2\.9 mine/);
  assert.equal(await daemon.call('diff', id), '');
  const packed = await daemon.raw(`${JSON.stringify(['tar', id])}\n`);
  for (const name of ['hosts', 'hostname', 'resolv.conf']) {
    const [content] = [execFileSync('tar', ['-x', '-O', '-f', '-', `./etc/${name}`], { input: packed })];
    assert.equal(content.toString(), '', name);
  }
  assert.match(await daemon.call('commit', id, 'committed'), /^committed:/);
  const [, layer = ''] = (await daemon.call('layers')).split('\n');
  assert.notEqual(layer, '');
  const printed = await output('hostname; cat /etc/hostname /etc/hosts', 'committed');
  assert.equal(printed.split('\n')[0], printed.split('\n')[1]);
  assert.ok(!printed.includes('192.0.2.9'), 'the next container has its own again');
});

test('an image without these files runs, and gets none', async () => {
  const root = execFileSync('tar', ['--delete', '-f', '-', './etc/hosts', './etc/hostname', './etc/resolv.conf'], {
    input: fixtureTar(),
    maxBuffer: 1 << 26,
  });
  assert.match(await daemon.callWith(root, 'put', 'bare'), /^bare:/);
  const files = 'ls /etc/hosts /etc/hostname /etc/resolv.conf 2> /dev/null';
  assert.equal(await output(`${files}; ip -4 -o addr show eth0 | wc -l`, 'bare'), '1\n');
  const [id = ''] = (await daemon.call('ps', '-a', '-q')).split('\n');
  assert.equal(await daemon.call('diff', id), '');
});

test('an image whose /etc files lead out of it harms nothing', async () => {
  const names = ['hosts', 'hostname', 'resolv.conf'];
  const out = names.map((name) => entry({ name: `etc/${name}`, type: '2', linkName: `../../../../../../etc/${name}` }));
  const kept = execFileSync('tar', ['--delete', '-f', '-', ...names.map((name) => `./etc/${name}`)], {
    input: fixtureTar(),
    maxBuffer: 1 << 26,
  });
  const withLinks = Buffer.concat([...out, kept]);
  assert.match(await daemon.callWith(withLinks, 'put', 'links'), /^links:/);
  const before = names.map((name) => execFileSync('stat', ['-c', '%Y %s %i', `/etc/${name}`]).toString());
  assert.equal(await output('echo evil >> /etc/hosts; echo ran', 'links').then((text) => text.includes('ran')), true);
  assert.deepEqual(
    names.map((name) => execFileSync('stat', ['-c', '%Y %s %i', `/etc/${name}`]).toString()),
    before,
  );
});

test("inspect shows March's keys with their types, while it runs and afterwards", async () => {
  const plain = await run(daemon, 'base', 'sleep', '1000');
  const text = await daemon.call('inspect', plain);
  const [settings = ''] = /^ {4}"NetworkSettings": \{\n[^]*?^ {4}\}/m.exec(text) ?? [];
  const march = settings.split('\n').filter((line) => /"(IpAddress|IpPrefixLen|Gateway|PortMapping)"/.test(line));
  const address = '"\\d+\\.\\d+\\.\\d+\\.\\d+"';
  const lines = [`"IpAddress": ${address},`, '"IpPrefixLen": 16,', `"Gateway": ${address},`, '"PortMapping": \\{\\}'];
  assert.match(march.join('\n'), new RegExp(`^${lines.map((line) => ` {8}${line}`).join('\n')}$`));
  assert.equal((await inspect(daemon, plain)).Config.Ports, null);
  const id = await run(daemon, '-p', '80', '-p', '443', 'base', 'sleep', '1000');
  const { Config, NetworkSettings } = await inspect(daemon, id);
  assert.deepEqual(Config.Ports, [80, 443]);
  assert.deepEqual(NetworkSettings.PortMapping, {
    '80': await portOf(daemon, id),
    '443': await portOf(daemon, id, '443'),
  });
  await daemon.call('kill', id);
  const stopped = (await inspect(daemon, id)).NetworkSettings;
  assert.deepEqual([stopped.IpAddress, stopped.IpPrefixLen, stopped.Gateway, stopped.PortMapping], ['', 0, '', null]);
  assert.deepEqual((await inspect(daemon, id)).Config.Ports, [80, 443]);
});
