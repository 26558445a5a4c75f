// Who may come in, on a machine of its own with users of its own: each sentence of what is promised about callers.
//
// The daemon's TCP port listens on loopback (IPv4 and IPv6), and, as the test itself calls from outside, on the machine's
// address; its HTTP port everywhere.

import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before, beforeEach } from 'node:test';
import { PROGRAM, TestDaemon } from '../harness.js';
import { enterOf, removeAll, run } from '../network/containers.js';
import { execute } from '../network/namespace.js';
import { TestMachine } from '../network/test-machine.js';

const PORT = 4242;
const ROOT = 0;
/** Users of the machine: a member of the group by /etc/group, one by /etc/passwd, and one of neither. */
const [MEMBER, PRIMARY, STRANGER, NAMELESS] = [4001, 4002, 4003, 4999];
const GROUP_ID = 5000;
const PASSWD = `root:x:0:0:root:/root:/bin/sh
member:x:${MEMBER}:${MEMBER}::/:/bin/sh
primary:x:${PRIMARY}:${GROUP_ID}::/:/bin/sh
stranger:x:${STRANGER}:${STRANGER}::/:/bin/sh
`;
const GROUPS = `root:x:0:\nusers:x:100:stranger\ntsdock:x:${GROUP_ID}:other,member\n`;
const REFUSED = 'Error: Cannot take a call from ';
const WHOLE_REFUSAL =
  'Error: Cannot take a call from stranger (uid 4003): call as root, or as a member of the group tsdock (groupadd -f tsdock; usermod -aG tsdock stranger)\n';
/** Makes a call and is gone at once. It tells when it has sent, and goes the way it is told. */
const HASTY = `
const [host, port, call, way] = process.argv.slice(1);
const socket = require('node:net').connect(Number(port), host, () => {
  socket.write(call + '\\n', () => (way === 'reset' ? socket.resetAndDestroy() : process.exit()));
});`;

let machine: TestMachine;
let daemon: TestDaemon;
let groupFile = '';
before(async () => {
  machine = await TestMachine.start();
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-accounts-'));
  machine.guard(folder);
  groupFile = join(folder, 'group');
  writeFileSync(join(folder, 'passwd'), PASSWD);
  writeFileSync(groupFile, GROUPS);
  for (const name of ['passwd', 'group']) await machine.exec('mount', '--bind', join(folder, name), `/etc/${name}`);
  const loopback = ['-H', `127.0.0.1:${PORT}`, '-H', `[::1]:${PORT}`];
  daemon = await machine.daemon({ args: [...loopback, '--http', '[::]:8080'] });
});
after(async () => {
  await daemon.close();
  await machine.close();
});
beforeEach(() => writeFileSync(groupFile, GROUPS));

/** The words that run others there as a user. */
function as(uid: number): string[] {
  return ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups'];
}

/** A 2013 call, as any netcat makes it: the whole reply. */
async function tcp(uid: number, host: string, port = PORT, line = '["version"]'): Promise<string> {
  const script = 'printf "%s\\n" "$3" | nc -N -w 20 "$1" "$2"';
  return machine.exec(...words(as(uid), 'sh', '-c', script, 'sh', host, String(port), line));
}

/** A call over HTTP: status and body. */
async function http(uid: number, host: string): Promise<string> {
  const options = ['-s', '-m', '20', '-w', '%{stderr}%{http_code}', '-o', '-', `http://${host}:8080/version`];
  return machine.exec(...words(as(uid), 'sh', '-c', 'curl "$@" 2>&1', 'sh', ...options));
}

/** A call by the client: what it prints, and its status. */
async function client(uid: number, ...args: string[]): Promise<string> {
  const script = 'DOCKER=127.0.0.1:4242 "$@" 2>&1; echo "status $?"';
  return machine.exec(...words(as(uid), 'sh', '-c', script, 'sh', process.execPath, PROGRAM, ...args));
}

function words(first: readonly string[], ...rest: string[]): [string, ...string[]] {
  const [program = '', ...args] = [...first, ...rest];
  return [program, ...args];
}

const LOOPBACKS = ['127.0.0.1', '127.0.0.1', '::1'];
const HTTP_HOSTS = ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]'];

for (const [name, uid] of [
  ['root', ROOT],
  ['a member of the group', MEMBER],
  ['a user whose own group it is', PRIMARY],
] as const) {
  test(`a daemon lets ${name} in, over TCP and HTTP, IPv4 and IPv6`, async () => {
    for (const host of LOOPBACKS) assert.match(await tcp(uid, host), /^tsdock /, host);
    for (const host of HTTP_HOSTS) assert.match(await http(uid, host), /^tsdock .*200$/s, host);
    assert.match(await client(uid, 'version'), /^tsdock .*\nstatus 0\n$/s);
  });
}

test('a daemon refuses any other user in one line, over TCP and HTTP, IPv4 and IPv6', async () => {
  for (const host of LOOPBACKS) assert.equal(await tcp(STRANGER, host), WHOLE_REFUSAL, host);
  for (const host of HTTP_HOSTS) assert.equal(await http(STRANGER, host), `${WHOLE_REFUSAL}403`, host);
  assert.match(await tcp(NAMELESS, '127.0.0.1'), /^Error: Cannot take a call from uid 4999: [^\n]+\n$/);
});

test('a daemon tells a refused client in its own form: one line, and the status of a refusal', async () => {
  assert.equal(await client(STRANGER, 'ps'), `${WHOLE_REFUSAL}status 1\n`);
  assert.equal(await client(STRANGER, 'run', 'base', 'true'), `${WHOLE_REFUSAL}status 125\n`);
});

test('a daemon does nothing of what a refused caller wants', async () => {
  const line = '["run","base","true"]';
  assert.equal(await tcp(STRANGER, '127.0.0.1', PORT, line), WHOLE_REFUSAL);
  assert.equal(
    await tcp(STRANGER, '127.0.0.1', PORT, '{"frames":1,"args":["run","base","true"]}').then((reply) =>
      reply.includes(WHOLE_REFUSAL),
    ),
    true,
  );
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('a daemon refuses a caller that says nothing, or nothing that it understands', async () => {
  assert.equal(await tcp(STRANGER, '127.0.0.1', PORT, 'no call'), WHOLE_REFUSAL);
  const started = performance.now();
  assert.equal(
    await machine.exec(...words(as(STRANGER), 'timeout', '20', 'nc', '-d', '127.0.0.1', '4242')),
    WHOLE_REFUSAL,
  );
  assert.ok(performance.now() - started < 15_000, 'long before a welcome caller would be cut');
});

test('a daemon reads users and groups afresh for each caller', async () => {
  writeFileSync(groupFile, `${GROUPS.trimEnd()},stranger\n`);
  assert.match(await tcp(STRANGER, '127.0.0.1'), /^tsdock /);
  assert.match(await http(STRANGER, '127.0.0.1'), /^tsdock /);
  writeFileSync(groupFile, 'root:x:0:\n'); // and the group need not exist
  for (const uid of [STRANGER, MEMBER, PRIMARY])
    assert.ok((await tcp(uid, '127.0.0.1')).startsWith(REFUSED), String(uid));
  assert.match(await tcp(ROOT, '127.0.0.1'), /^tsdock /);
});

test('a daemon goes by the files: a group that a process has, but its user is not in, does not count', async () => {
  const script = 'echo \'["version"]\' | nc -N -w 20 127.0.0.1 4242';
  const group = String(GROUP_ID);
  for (const groups of [
    ['--regid', group, '--clear-groups'],
    ['--regid', '100', '--groups', group],
  ]) {
    const reply = await machine.exec('setpriv', '--reuid', String(STRANGER), ...groups, 'sh', '-c', script);
    assert.equal(reply, WHOLE_REFUSAL);
  }
});

for (const way of ['exit', 'reset']) {
  for (const host of ['127.0.0.1', '::1', 'own']) {
    test(`a daemon refuses a local caller that cannot be found any more: ${way}, ${host}`, async () => {
      const [address, port] = host === 'own' ? [machine.address, daemon.tcp.port] : [host, PORT];
      const before = daemon.log.length;
      process.kill(daemon.pid, 'SIGSTOP'); // it comes to look only when the caller has gone
      try {
        const call = '["run","base","true"]';
        await machine.exec(process.execPath, '-e', HASTY, address, String(port), call, way);
      } finally {
        process.kill(daemon.pid, 'SIGCONT');
      }
      await daemon.logged(/is refused: Cannot take a call whose process cannot be found: /, before);
      assert.equal(await daemon.call('ps', '-a', '-q'), '', 'root’s call, but who can tell');
    });
  }
}

test('a daemon that others can reach lets them in, but judges this machine’s own callers as ever', async () => {
  const { port } = daemon.tcp;
  assert.match(await daemon.call('version'), /^tsdock /, 'from outside');
  assert.match(await tcp(ROOT, machine.address, port), /^tsdock /);
  assert.match(await tcp(MEMBER, machine.address, port), /^tsdock /);
  assert.equal(await tcp(STRANGER, machine.address, port), WHOLE_REFUSAL);
  assert.equal(await http(STRANGER, machine.address), `${WHOLE_REFUSAL}403`);
  // An address that no interface shows is the machine's own all the same, and so is that of one that is down.
  await machine.namespace.ip(
    'route add local 10.66.0.0/24 dev lo',
    'link add unused type bridge', // it is down
    'addr add 10.67.0.1/24 dev unused',
  );
  try {
    for (const source of ['10.66.0.9', '10.67.0.1']) {
      const script = `echo '["version"]' | nc -N -w 20 -s ${source} ${machine.address} ${port}`;
      assert.equal(await machine.exec(...words(as(STRANGER), 'sh', '-c', script)), WHOLE_REFUSAL, source);
      assert.match(await machine.exec(...words(as(ROOT), 'sh', '-c', script)), /^tsdock /, source);
      const before = daemon.log.length;
      process.kill(daemon.pid, 'SIGSTOP');
      try {
        const hasty = HASTY.replace('Number(port), host', `{ port: Number(port), host, localAddress: '${source}' }`);
        const args = [machine.address, String(port), '["run","base","true"]', 'reset'];
        await machine.exec(...words(as(STRANGER), process.execPath, '-e', hasty, ...args));
      } finally {
        process.kill(daemon.pid, 'SIGCONT');
      }
      await daemon.logged(/is refused: .* cannot be found/, before);
    }
  } finally {
    await machine.namespace.ip('route del local 10.66.0.0/24 dev lo', 'link del unused');
  }
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('a daemon refuses containers on the bridge, by whichever address of the host they come', async () => {
  const id = await run(daemon, 'base', 'sleep', '300');
  const enter = await enterOf(daemon, id);
  const sharer = await run(daemon, '--net', `container:${id}`, 'base', 'sleep', '300');
  const [, gateway = ''] = /default via ([\d.]+)/.exec(await execute([...enter, 'ip', 'route'])) ?? [];
  assert.notEqual(gateway, '');
  try {
    for (const host of [gateway, machine.address]) {
      const ask = ['curl', '-s', '-m', '20', `http://${host}:8080/ps`];
      assert.match(await execute([...enter, ...ask]), /^Error: Cannot take a call from a container: [^\n]+\n$/, host);
      const root = await machine.exec(...words(ask));
      assert.match(root, /^ID /, 'root of the host, by the same address');
    }
    const script = `echo '["version"]' | nc -N -w 20 ${machine.address} ${daemon.tcp.port}`;
    for (const inside of [enter, await enterOf(daemon, sharer)]) {
      assert.match(
        await execute([...inside, 'sh', '-c', script]),
        /^Error: Cannot take a call from a container: [^\n]+\n$/,
      );
    }
    // As a program inside would: with what the image has.
    const said = await daemon.call(
      'run',
      '-a',
      'base',
      'sh',
      '-c',
      `echo '["version"]' | nc ${machine.address} ${daemon.tcp.port}`,
    );
    assert.match(said, /^Error: Cannot take a call from a container: /);
    assert.doesNotMatch(said, /^tsdock /m);
  } finally {
    await removeAll(daemon);
  }
});

test('a daemon refuses root in a container that shares the network of the host', async () => {
  const script = `echo '["version"]' | nc 127.0.0.1 ${PORT}; wget -q -O- http://127.0.0.1:8080/version; true`;
  for (const command of [script, 'true']) {
    const said = await daemon.call('run', '-a', '--net', 'host', 'base', 'sh', '-c', command);
    assert.doesNotMatch(said, /tsdock \d/);
    if (command === script) assert.match(said, /^Error: Cannot take a call from a container: /);
  }
  await removeAll(daemon);
  assert.match(await tcp(ROOT, '127.0.0.1'), /^tsdock /);
});

test('a daemon on loopback is not reached from other networks of the same machine', async () => {
  const { namespace, machineAddress } = await machine.neighbour();
  for (const host of ['127.0.0.1', '::1', machineAddress]) {
    await assert.rejects(namespace.exec('nc', '-z', '-w', '2', host, String(PORT)), host);
  }
});

test('a daemon says at its start which of its ports others can reach, and what that means', () => {
  const warnings = daemon.log.split('\n').filter((line) => line.includes('WARNING'));
  const meaning = 'is open to other machines: whoever reaches it is root here, and is not asked who they are';
  assert.equal(warnings.length, 2, warnings.join('\n'));
  assert.ok(warnings.some((line) => line.includes(`tcp ${machine.address}:${daemon.tcp.port} ${meaning}`)));
  assert.ok(warnings.some((line) => line.includes(`http [::]:8080 ${meaning}`)));
});
