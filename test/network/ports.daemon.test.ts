// Published ports: who reaches a container by which address, who does not, and whose a port is.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TestDaemon, until } from '../harness.js';
import {
  addressOf,
  answers,
  ask,
  enterOf,
  inspect,
  portOf,
  removeAll,
  run,
  runServer,
  speaker,
  udpTar,
} from './containers.js';
import { execute } from './namespace.js';
import { TestMachine, type Neighbour } from './test-machine.js';

const SENDER = fileURLToPath(new URL('send-datagrams.js', import.meta.url));
const ONE_ERROR = /^Error: [^\n]+\n$/;

let machine: TestMachine;
let daemon: TestDaemon;
let neighbour: Neighbour;
before(async () => {
  machine = await TestMachine.start();
  neighbour = await machine.neighbour({ isGateway: true });
  daemon = await machine.daemon();
  assert.match(await daemon.callWith(udpTar(), 'put', 'udp'), /^udp:/);
});
after(async () => {
  await daemon.close();
  await machine.close();
});
afterEach(() => removeAll(daemon));

/** Fails where a refused run left a container, a folder, an interface or a rule. */
async function refused(...words: string[]): Promise<string> {
  const state = async (): Promise<unknown> => {
    const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
    // Those of containers that have just been started come a little later than the answer.
    const links = (await machine.links()).filter((name) => !ids.includes(name.replace('veth', '')));
    return [ids, readdirSync(join(daemon.directory, 'containers')).sort(), links, await machine.chains()];
  };
  const before = await state();
  const reply = await daemon.call('run', ...words);
  assert.match(reply, /^(Error: |invalid value )/, words.join(' '));
  assert.deepEqual(await state(), before, `nothing is made: ${words.join(' ')}`);
  return reply;
}

/** Sends what is for 127.0.0.1 to another machine, as somebody on the LAN may do. */
async function routeLoopback(enter: readonly string[], link: string, by: string): Promise<void> {
  const sysctl = `net.ipv4.conf.${link}.route_localnet=1`;
  await execute([...enter, 'sysctl', '-q', '-w', sysctl]);
  const lines = [
    'addr del 127.0.0.1/8 dev lo', // else it would not take the answers
    `route add 127.0.0.1/32 via ${by} dev ${link}`,
  ];
  await execute([...enter, 'ip', '-batch', '-'], `${lines.join('\n')}\n`);
  assert.ok((await execute([...enter, 'ip', 'route', 'get', '127.0.0.1'])).includes(`dev ${link}`));
}

test('run -p PRIVATE gives a port of 49153 to 65535, which port tells', async () => {
  const id = await run(daemon, '-p', '80', '-p', '443', 'base', 'sleep', '1000');
  const [http, https] = [Number(await portOf(daemon, id)), Number(await portOf(daemon, id, '443'))];
  assert.ok([http, https].every((port) => port >= 49_153 && port <= 65_535) && http !== https, `${http} ${https}`);
  assert.equal(await daemon.call('port', id, '81'), `Error: No private port '81' allocated on ${id}\n`);
});

/** Whether packets between the ports of a bridge pass the packet filter: a module of the kernel, which Docker loads. */
const BRIDGE_FILTER = '/proc/sys/net/bridge/bridge-nf-call-iptables';
for (const isFiltered of ['0', '1']) {
  const where = isFiltered === '1' ? ', where the bridge filters too' : '';
  const skip = isFiltered === '1' && !existsSync(BRIDGE_FILTER);
  const name = `run -p PUBLIC:PRIVATE is reached from the host, the LAN, other containers and the container itself${where}`;
  test(name, { skip }, async () => {
    if (existsSync(BRIDGE_FILTER)) {
      await machine.exec('sysctl', '-q', '-w', `net.bridge.bridge-nf-call-iptables=${isFiltered}`);
    }
    const id = await runServer(daemon, 'hello', '-p', '8080:80');
    const other = await run(daemon, 'base', 'sleep', '1000');
    assert.equal(await portOf(daemon, id), '8080');
    const { Gateway, IpAddress } = (await inspect(daemon, id)).NetworkSettings;
    const { machineAddress } = neighbour;
    await answers(machine.enter, IpAddress, 80, 'hello');
    for (const address of ['127.0.0.1', '127.0.0.2', machineAddress, Gateway, machine.address]) {
      await answers(machine.enter, address, 8080, 'hello');
    }
    await answers(neighbour.namespace.enter, machineAddress, 8080, 'hello');
    await answers(await enterOf(daemon, other), IpAddress, 80, 'hello');
    for (const container of [other, id]) {
      const enter = await enterOf(daemon, container);
      for (const address of [machineAddress, Gateway]) await answers(enter, address, 8080, 'hello');
    }
  });
}

test('a container sees who calls from another machine', async () => {
  const id = await run(daemon, '-p', '8080:80', 'base', 'httpd', '-f', '-v', '-p', '80', '-h', '/data');
  const get = `until wget -q -O - http://${neighbour.machineAddress}:8080/one; do usleep 50000; done`;
  const applets = get.replace(/(wget|usleep)/g, 'busybox $1');
  assert.equal(await neighbour.namespace.exec('sh', '-c', applets), 'one\n');
  await until(async () => (await daemon.call('logs', id)).includes(neighbour.address), "the neighbour's address");
});

test('run -p IP:PUBLIC:PRIVATE is reached at that address alone, another container at another one', async () => {
  const { machineAddress, namespace } = neighbour;
  await runServer(daemon, 'for the LAN', '-p', `${machineAddress}:8081:80`);
  await runServer(daemon, 'for the host', '-p', '127.0.0.1:8081:80');
  await answers(namespace.enter, machineAddress, 8081, 'for the LAN');
  await answers(machine.enter, machineAddress, 8081, 'for the LAN');
  await answers(machine.enter, '127.0.0.1', 8081, 'for the host');
  assert.equal(await ask(machine.enter, machine.address, 8081), '');
});

test('run -p 127.0.0.1:PUBLIC:PRIVATE is not reached from another machine, also not by a packet for 127.0.0.1', async () => {
  const id = await runServer(daemon, 'private', '-p', '127.0.0.1:8082:80');
  await answers(machine.enter, '127.0.0.1', 8082, 'private');
  const { machineAddress, namespace } = neighbour;
  assert.equal(await ask(namespace.enter, machineAddress, 8082), '');
  // A third machine, which sends what is for 127.0.0.1 here; and this one takes such packets, which it should not.
  const rude = await machine.neighbour();
  await routeLoopback(rude.namespace.enter, 'eth0', rude.machineAddress);
  await machine.namespace.exec('sysctl', '-q', '-w', `net.ipv4.conf.${rude.link}.route_localnet=1`);
  const end = await speaker(machine.namespace, '127.0.0.1', '7001', 'the packets arrive');
  await answers(rude.namespace.enter, '127.0.0.1', 7001, 'the packets arrive');
  assert.equal(await ask(rude.namespace.enter, '127.0.0.1', 8082), '');
  const address = await addressOf(daemon, id);
  await rude.namespace.ip(`route add ${address} via ${rude.machineAddress}`);
  assert.equal(await ask(rude.namespace.enter, address, 80), '');
  end();
});

test('what is not published is not reached from another machine that has a route to it', async () => {
  const closed = await runServer(daemon, 'closed');
  const open = await runServer(daemon, 'open', '-p', '8083:80');
  const { machineAddress, namespace } = neighbour;
  const addresses = await Promise.all([closed, open].map((id) => addressOf(daemon, id)));
  for (const address of addresses) await namespace.ip(`route add ${address} via ${machineAddress}`);
  await answers(machine.enter, addresses[0] ?? '', 80, 'closed');
  await answers(namespace.enter, machineAddress, 8083, 'open');
  for (const address of addresses) assert.equal(await ask(namespace.enter, address, 80), '', address);
  for (const address of addresses) await namespace.ip(`route del ${address}`);
});

test('a container does not reach what listens on 127.0.0.1 of the host', async () => {
  const { machineAddress } = neighbour;
  const ends = [
    await speaker(machine.namespace, '127.0.0.1', '7002', 'secret'),
    await speaker(machine.namespace, machineAddress, '7003', 'for all'),
  ];
  await runServer(daemon, 'private', '-p', '127.0.0.1:8084:80');
  await answers(machine.enter, '127.0.0.1', 8084, 'private');
  const id = await run(daemon, 'base', 'sleep', '1000');
  const enter = await enterOf(daemon, id);
  await answers(enter, machineAddress, 7003, 'for all');
  await routeLoopback(enter, 'eth0', (await inspect(daemon, id)).NetworkSettings.Gateway);
  assert.deepEqual([await ask(enter, '127.0.0.1', 7002), await ask(enter, '127.0.0.1', 8084)], ['', '']);
  for (const end of ends) end();
});

test('a public port that another process has is refused, with its name', async () => {
  const { machineAddress } = neighbour;
  for (const address of ['0.0.0.0', machineAddress]) {
    const child = machine.namespace.spawn('nc', '-l', '-k', '-n', address, '8090');
    await until(async () => (await machine.exec('ss', '-ltn')).includes(`${address}:8090 `), 'it listens');
    const reply = await refused('-p', '8090:80', 'base', 'true');
    assert.match(reply, ONE_ERROR);
    assert.match(reply, new RegExp(`8090.*\\b${child.pid ?? 0}\\b.*nc`), address);
    assert.match(await refused('-p', '81', '-p', '8090:80', 'base', 'true'), ONE_ERROR);
    // TCP and UDP have ports of their own.
    const id = await run(daemon, '-p', '8090:80/udp', 'base', 'sleep', '1000');
    const udp = await refused('-p', '8090:80/udp', 'base', 'true');
    assert.match(udp, new RegExp(`8090.*${id}`));
    child.ref();
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
    await removeAll(daemon);
  }
  const id = await runServer(daemon, 'now', '-p', '8090:80');
  await answers(machine.enter, '127.0.0.1', 8090, 'now');
  assert.equal(await portOf(daemon, id), '8090');
});

test('a public port that another container has is refused, with its id; twice in one run too', async () => {
  const id = await run(daemon, '-p', '8091:80', 'base', 'sleep', '1000');
  for (const spec of ['8091:81', '127.0.0.1:8091:80']) {
    const reply = await refused('-p', spec, 'base', 'true');
    assert.match(reply, ONE_ERROR);
    assert.match(reply, new RegExp(`8091.*${id}`));
  }
  assert.match(await refused('-p', '8092:80', '-p', '8092:81', 'base', 'true'), /8092/);
  assert.match(await refused('-p', '8092:80', '-p', '8092:80', 'base', 'true'), /8092/);
  await run(daemon, '-p', '8092:80', '-p', '8092:80/udp', 'base', 'sleep', '1000');
});

test('run -p refuses what is no port, and an address that the host does not have', async () => {
  const wrong = [
    'x',
    '',
    '0:80',
    '80:0',
    '65536:80',
    '80:65536',
    '-1',
    '80/sctp',
    'a.b.c.d:80:80',
    '1:2:3:4',
    '8080:',
    '1.2.3:80:80',
  ];
  for (const spec of wrong) await refused('-p', spec, 'base', 'true');
  assert.match(await refused('-p', '192.0.2.77:8093:80', 'base', 'true'), /^Error: [^\n]*192\.0\.2\.77[^\n]*\n$/);
});

test('a port that a container has is taken for every program of the host, until the container stops', async () => {
  const id = await run(daemon, '-p', '8094:80', 'base', 'sleep', '1000');
  await assert.rejects(machine.exec('nc', '-l', '-n', '0.0.0.0', '8094'), /in use/);
  await daemon.call('kill', id);
  const end = await speaker(machine.namespace, '0.0.0.0', '8094', 'mine');
  assert.match(await daemon.call('start', id), /^Error: [^\n]*8094[^\n]*\n$/);
  assert.equal((await inspect(daemon, id)).State.Running, false);
  end();
  await until(async () => (await daemon.call('start', id)) === `${id}\n`, 'the port is free again');
});

test('restart keeps a port that the user named, start gives a new one where none was, a stopped container has none', async () => {
  const id = await runServer(daemon, 'again', '-p', '8095:80', '-p', '81');
  const given = await portOf(daemon, id, '81');
  assert.equal(await daemon.call('restart', '-t', '0', id), `${id}\n`);
  assert.equal(await portOf(daemon, id), '8095');
  await answers(neighbour.namespace.enter, neighbour.machineAddress, 8095, 'again');
  assert.notEqual(await portOf(daemon, id, '81'), given);
  await daemon.call('kill', id);
  for (const port of ['80', '81']) {
    assert.equal(await daemon.call('port', id, port), `Error: No private port '${port}' allocated on ${id}\n`);
  }
  assert.equal(await ask(neighbour.namespace.enter, neighbour.machineAddress, 8095), '');
  assert.ok(!(await machine.chains()).some((line) => line.includes('8095')));
  // Somebody else may have it now.
  const other = await runServer(daemon, 'other', '-p', '8095:80');
  await answers(neighbour.namespace.enter, neighbour.machineAddress, 8095, 'other');
  assert.match(await daemon.call('start', id), new RegExp(`^Error: [^\n]*8095[^\n]*${other}[^\n]*\n$`));
});

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`ports go on without a daemon after ${signal}, and are the next one's`, async () => {
    const id = await runServer(daemon, 'going on', '-p', '8096:80', '-p', '127.0.0.1:8097:80');
    await answers(neighbour.namespace.enter, neighbour.machineAddress, 8096, 'going on');
    await daemon.end(signal);
    await answers(neighbour.namespace.enter, neighbour.machineAddress, 8096, 'going on');
    await daemon.begin();
    await answers(neighbour.namespace.enter, neighbour.machineAddress, 8096, 'going on');
    await answers(machine.enter, '127.0.0.1', 8097, 'going on');
    assert.match(await refused('-p', '8096:80', 'base', 'true'), new RegExp(id));
    await assert.rejects(machine.exec('nc', '-l', '-n', '0.0.0.0', '8096'), /in use/);
    await daemon.call('kill', id);
    assert.equal(await ask(neighbour.namespace.enter, neighbour.machineAddress, 8096), '');
  });
}

test('run -p PORT/udp: datagrams go in, answers come back, to the host and to another machine', async () => {
  for (const [enter, address] of [
    [machine.enter, '127.0.0.1'],
    [neighbour.namespace.enter, neighbour.machineAddress],
  ] as const) {
    const id = await run(daemon, '-p', '5353:53/udp', 'udp', 'sh', '-c', 'echo up; echo pong | udpcat -u -l -n 53');
    await until(async () => (await daemon.call('logs', id)).startsWith('up\n'), 'it runs');
    let reply = '';
    await until(async () => {
      reply = await execute([...enter, 'nc', '-u', '-n', '-w', '3', address, '5353'], 'ping\n').catch(() => '');
      return reply !== '';
    }, 'an answer');
    assert.equal(reply, 'pong\n');
    await until(async () => (await daemon.call('logs', id)).includes('ping'), 'the question came');
    await daemon.call('kill', id);
  }
});

test('a UDP client that goes on sending from one port is heard at once when its container is there again', async () => {
  const id = await run(daemon, '-p', '5454:53/udp', 'udp', 'udpcat', '-u', '-l', '-k', '-n', '53');
  const addresses = ['127.0.0.1', neighbour.machineAddress];
  const clients = [machine.namespace, neighbour.namespace].map((namespace, i) =>
    namespace.spawn(process.execPath, SENDER, addresses[i] ?? '', '5454', '6001'),
  );
  /** The number of the last datagram from each client. */
  const heard = async (): Promise<number[]> => {
    const lines = (await daemon.call('logs', id)).split('\n');
    return addresses
      .map((address) => lines.findLast((line) => line.startsWith(`${address} `)))
      .map((line) => Number(line?.split(' ')[1] ?? 0));
  };
  await until(async () => (await heard()).every((number) => number > 0), 'it hears both');
  for (const restart of [
    async () => assert.equal(await daemon.call('restart', '-t', '0', id), `${id}\n`),
    async () => {
      await daemon.call('kill', id);
      // Sent to nobody, which must not be remembered.
      await answers(machine.enter, await addressOf(daemon, await runServer(daemon, 'another')), 80, 'another');
      assert.equal(await daemon.call('start', id), `${id}\n`);
    },
    async () => {
      await daemon.end('SIGKILL');
      await daemon.begin();
      assert.equal(await daemon.call('restart', '-t', '0', id), `${id}\n`);
    },
  ]) {
    await restart();
    const before = await heard();
    const isHeard = async (): Promise<boolean> => (await heard()).every((number, i) => number > (before[i] ?? 0));
    // A record that leads elsewhere would never go, as each datagram makes it last: so this is soon, or never.
    await until(isHeard, `it hears both again, after ${String(before)}`);
  }
  for (const client of clients) client.stdin?.end();
});
