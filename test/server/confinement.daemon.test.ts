// What root in a container tries, on real containers of each kind: escape.pl makes the attempts, and here is how each of
// them has to end.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { entry } from '../archive/tar-builder.js';
import { busybox } from '../fixture.js';
import type { TestDaemon } from '../harness.js';
import { run } from '../network/containers.js';
import { TestMachine } from '../network/test-machine.js';
import { perlTar } from './perl-image.js';

const { EACCES, EINVAL, ENOSYS, EPERM, EROFS, ETXTBSY } = constants.errno;
/** How an attempt may end that no line below is about: it is not allowed, or the kernel does not know the call. */
const REFUSED = [EPERM, ENOSYS];
/** By the beginning of an attempt's name. */
const ENDS: readonly (readonly [string, readonly number[]])[] = [
  ['clone3', [ENOSYS]],
  ['nice', [EACCES]],
  ['block ', [EPERM]],
  ['character ', [EPERM]],
  ['write to the first program', [EROFS, ETXTBSY]],
  ['write ', [EROFS]],
  ['chmod ', [EROFS]],
  ['delete a link of the host', [EPERM, EINVAL]], // the latter where the container knows no other network
];
/** A program that is nobody is refused by the modes of files already. */
const NOBODY_ENDS = [EPERM, EACCES, EROFS, ETXTBSY, ENOSYS];
/** Descriptors that lxc-start has open when it executes the program: one of them is a folder of the host. */
const DESCRIPTORS = [...Array(60).keys()].slice(3);
const PARALLEL = 6;

/** A folder of the host, with a program in it. */
let victim: string;
let machine: TestMachine;
let daemon: TestDaemon;
/** The index of a network interface of the host's, which a container must not be able to take away. */
let link: string;

before(async () => {
  victim = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'tsdock-test-victim-')));
  fs.copyFileSync(busybox(), join(victim, 'busybox'));
  fs.chmodSync(join(victim, 'busybox'), 0o755);
  machine = await TestMachine.start();
  await machine.namespace.ip('link add victim0 type veth peer name victim1');
  link = (await machine.exec('cat', '/sys/class/net/victim0/ifindex')).trim();
  daemon = await machine.daemon();
  const script = (name: string, interpreter: string): Buffer =>
    entry({ name, mode: 0o755, content: `#!${interpreter} sh\n/bin/chmod 4777 /proc/1/exe; echo out\n` });
  const host = (fd: number): string => `/proc/self/fd/${fd}${'/..'.repeat(8)}${victim}/busybox`;
  const image = perlTar(
    ...DESCRIPTORS.map((fd) => script(`by-descriptor-${fd}`, host(fd))),
    script('by-lxc-start', '/proc/self/exe'),
  );
  assert.match(await daemon.callWith(image, 'put', 'hostile'), /^hostile:/);
});
after(async () => {
  await daemon.close();
  await machine.namespace.ip('link del victim0');
  await machine.close();
  fs.rmSync(victim, { recursive: true, force: true });
});

/** Runs the attempts in a container and checks each; answers with what was seen, and how many attempts there were. */
async function attempts(ends: readonly number[] | undefined, ...flags: string[]): Promise<string[]> {
  const reply = await daemon.call('run', '-a', ...flags, 'hostile', 'perl', '/escape.pl', victim, link);
  const lines = reply.replaceAll('\r', '').trimEnd().split('\n');
  assert.equal(lines.at(-1), 'see\tend', reply.slice(-2000));
  const seen: string[] = [];
  const wrong: string[] = [];
  for (const line of lines) {
    const [, name = line, result = ''] = /^([^\t]+)\t(.*)$/.exec(line) ?? [];
    if (name === 'see') seen.push(result);
    else if (!(ends ?? endsOf(name)).includes(/^\d+$/.test(result) ? Number(result) : -1)) wrong.push(line);
  }
  assert.deepEqual(wrong, []);
  assert.ok(lines.length > 150, `attempts: ${lines.length}`);
  assert.ok((await machine.namespace.links()).includes('victim0'));
  return seen;
}

function endsOf(name: string): readonly number[] {
  return ENDS.find(([beginning]) => name.startsWith(beginning))?.[1] ?? REFUSED;
}

/** The descriptors that were seen, as `N TARGET`. None may be a file of the host's that others use. */
function descriptors(seen: readonly string[]): string[] {
  const { dev, ino } = fs.statSync('/dev/null');
  const found = seen.filter((text) => text.startsWith('descriptor '));
  assert.ok(!found.some((text) => text.includes(` ${dev}:${ino} `)), `the null device of the host: ${found.join()}`);
  return found.map((text) => text.replace(/^descriptor (\d+) \S+/, '$1'));
}

const isOwnStream = (line: string): boolean =>
  /^0 .*\/containers\/[0-9a-f]{8}\/\.tmp-[0-9a-f]+-null \(deleted\)$/.test(line) ||
  /^[12] .*\/containers\/[0-9a-f]{8}\/(stdout|stderr)$/.test(line);

for (const [kind, flags] of [
  ['a container on the bridge', []],
  ['one without a network', ['-net', 'none']],
  ['one in the network of the host', ['-net', 'host']],
] as const) {
  test(`root gets out of nothing in ${kind}`, { timeout: 120_000 }, async () => {
    const seen = await attempts(undefined, ...flags);
    assert.deepEqual(
      descriptors(seen).filter((line) => !isOwnStream(line)),
      [],
    );
    assert.equal(descriptors(seen).length, 6, 'three of the program, which is process 1 as well');
    assert.ok(seen.includes('processes '), 'no other process');
    assert.ok(seen.includes('jail'), 'chroot works');
  });
}

test('root gets out of nothing in a container with a terminal', { timeout: 120_000 }, async () => {
  const seen = await attempts(undefined, '-t');
  const targets = descriptors(seen);
  assert.deepEqual(
    targets.filter((line) => !/^[012] \/dev\/(pts\/0|console)$/.test(line)),
    [],
  );
  assert.equal(targets.length, 6);
  assert.ok(seen.includes('processes 1'), "LXC's init alone");
});

test('a program that is nobody gets out of nothing', { timeout: 120_000 }, async () => {
  const seen = await attempts(NOBODY_ENDS, '-u', '1000');
  assert.deepEqual(
    descriptors(seen).filter((line) => !isOwnStream(line)),
    [],
  );
});

test('no program of the host is executed by way of what LXC has open', { timeout: 120_000 }, async () => {
  const names = ['by-lxc-start', ...DESCRIPTORS.map((fd) => `by-descriptor-${fd}`)];
  const replies: string[] = [];
  for (let i = 0; i < names.length; i += PARALLEL) {
    const some = names.slice(i, i + PARALLEL);
    replies.push(...(await Promise.all(some.map((name) => daemon.call('run', '-a', 'hostile', `/${name}`)))));
  }
  assert.deepEqual(
    replies.filter((reply) => !/^[\d/]+ [\d:]+ Unable to locate \/by-[\w-]+\n$/.test(reply)),
    [],
  );
  assert.equal(fs.statSync(join(victim, 'busybox')).mode & 0o7777, 0o755);
});

test('a program has the same descriptors after the daemon was killed and started again', async () => {
  const script = 'until test -e /tmp/go; do usleep 20000; done; ls -l /proc/self/fd';
  const id = await run(daemon, 'hostile', 'sh', '-c', script);
  await daemon.end('SIGKILL');
  await daemon.begin();
  assert.equal(await daemon.callWith('', 'write', id, '/tmp/go'), '');
  await daemon.stopped(id);
  const lines = (await daemon.call('logs', id)).split('\n').flatMap((line) => /(\d+) -> (.*)$/.exec(line)?.[0] ?? []);
  assert.deepEqual(
    lines.map((line) => line.replace(' -> ', ' ')).filter((line) => !isOwnStream(line) && !line.startsWith('3 ')),
    [],
  );
  assert.ok(lines.length >= 3, lines.join('\n'));
});

test('devices of the host that an image brings are not opened', { timeout: 120_000 }, async () => {
  // What a container may open: null, zero, full, random, urandom, its own terminal, pseudo terminals, tun.
  const allowed = /^c (1:[35789]|5:[02]|136:\d+|10:200)$/;
  const nodes = fs
    .readFileSync('/proc/devices', 'latin1')
    .split(/(?=Block)/)
    .flatMap((part, i) =>
      [...part.matchAll(/^ *(\d+) /gm)].map(([, major = '']) => ({ type: i, major: Number(major) })),
    )
    .flatMap(({ type, major }) => [0, 1, 2, 11].map((minor) => ({ type, major, minor })));
  nodes.push(...[0, 1].map((minor) => ({ type: 0, major: 4, minor })), { type: 0, major: 5, minor: 1 });
  const named = nodes.map((node) => ({ ...node, name: `${node.type === 0 ? 'c' : 'b'} ${node.major}:${node.minor}` }));
  const wanted = [
    ...new Map(named.filter(({ name }) => !allowed.test(name)).map((node) => [node.name, node])).values(),
  ];
  assert.ok(wanted.length > 20);
  const image = perlTar(
    ...wanted.map(({ type, major, minor, name }) =>
      entry({ name: `nodes/${name}`, type: type === 0 ? '3' : '4', mode: 0o666, device: [major, minor] }),
    ),
  );
  assert.match(await daemon.callWith(image, 'put', 'nodes'), /^nodes:/);
  const script = 'cd /nodes; for node in *; do (: < "$node"); done 2>&1';
  const lines = (await daemon.call('run', '-a', 'nodes', 'sh', '-c', script)).trimEnd().split('\n');
  assert.equal(lines.length, wanted.length);
  assert.deepEqual(
    lines.filter((line) => !line.endsWith(': Operation not permitted')),
    [],
  );
});

test("a container does not reach the daemon's ports", { timeout: 120_000 }, async () => {
  const gateway = (await machine.exec('ip', '-o', '-4', 'addr', 'show', 'tsdock0')).match(/inet ([\d.]+)/)?.[1] ?? '';
  assert.match(gateway, /^\d/);
  const addresses = [gateway, machine.address, '127.0.0.1'];
  const http = daemon.http.split(':').at(-1) ?? '';
  const script = addresses.flatMap((address) => [
    `echo '["version"]' | nc -w 2 ${address} ${daemon.tcp.port}; echo ended`,
    `printf 'GET /version HTTP/1.0\r\nHost: localhost\r\n\r\n' | nc -w 2 ${address} ${http}; echo ended`,
  ]);
  const reply = await daemon.call('run', '-a', 'hostile', 'sh', '-c', script.join('\n'));
  const answer = /^tsdock \d/m;
  assert.doesNotMatch(reply, answer);
  assert.equal(reply.match(/ended$/gm)?.length, script.length, reply);
  assert.match(await daemon.call('version'), answer, 'this is what would have been answered');
});
