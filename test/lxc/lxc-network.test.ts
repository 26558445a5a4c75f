// What a real lxc-start makes of the network and the files that a configuration names. On a bridge in a network namespace
// of its own.

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcessByStdio } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { writeEtcFiles } from '../../src/container/etc-files.js';
import { containerInit } from '../../src/lxc/container-init.js';
import { processArguments } from '../../src/linux/process.js';
import { placeSeccompProfile } from '../../src/lxc/seccomp-profile.js';
import { lxcConfig, readLxcMachine, type LxcNetwork, type OwnFile } from '../../src/lxc/lxc-config.js';
import { readLxcExit, type LxcExit } from '../../src/lxc/lxc-log.js';
import { lxcStartArguments, lxcVersion } from '../../src/lxc/lxc-start.js';
import { fixtureTar } from '../fixture.js';
import { until } from '../harness.js';
import { umountBelow } from '../mounts.js';
import { execute, Namespace } from '../network/namespace.js';

const BRIDGE = 'lxbridge0';
const GATEWAY = '10.210.0.1';
const VETH: LxcNetwork = {
  type: 'veth',
  bridge: BRIDGE,
  hostInterface: 'vethlx000001',
  mac: '02:42:0a:d2:01:02',
  address: '10.210.1.2/16',
  gateway: GATEWAY,
};
const SHOW = 'ip -o addr; ip -o link; ip route; ls -l /proc/self/ns/net';

test('lxcConfig() gives a container eth0 on the bridge, and nothing of it is left when lxc-start has ended', async (t) => {
  const machine = await makeMachine(t);
  const { stdout, exit } = await machine.run(VETH, `${SHOW}; cat /sys/class/net/lo/flags; exit 7`);
  assert.equal(exit.exitCode, 7, exit.failure);
  assert.match(stdout, /: eth0 +inet 10\.210\.1\.2\/16 brd 10\.210\.255\.255 scope global eth0/);
  assert.match(stdout, /: eth0@.*UP.* mtu 1500 .*link\/ether 02:42:0a:d2:01:02 /);
  assert.match(stdout, /^default via 10\.210\.0\.1 dev eth0/m);
  assert.match(stdout, /: lo +inet 127\.0\.0\.1\/8 /);
  assert.match(stdout, /^0x9$/m, 'loopback is up');
  assert.deepEqual(await machine.namespace.links(), ['lo', BRIDGE]);
});

test('lxcConfig() gives a container without a network a loopback of its own', async (t) => {
  const machine = await makeMachine(t);
  const { stdout, exit } = await machine.run({ type: 'empty' }, `${SHOW}; cat /proc/sys/net/ipv4/ping_group_range`);
  assert.equal(exit.exitCode, 0, exit.failure);
  assert.match(stdout, /: lo +inet 127\.0\.0\.1\/8 /);
  assert.doesNotMatch(stdout, /^2: /m);
  assert.match(stdout, /^0\t2147483647$/m);
  assert.ok(!stdout.includes(machine.netns));
});

test('lxcConfig() lets a container in the network of the host change nothing there', async (t) => {
  const machine = await makeMachine(t);
  const pingGroups = await machine.namespace.exec('cat', '/proc/sys/net/ipv4/ping_group_range');
  const change = `ip link set ${BRIDGE} down; ip addr add 10.9.9.9/8 dev lo; echo 9 > /proc/sys/net/ipv4/ip_default_ttl; hostname`;
  const { stdout, exit } = await machine.run({ type: 'host' }, `${change}; ${SHOW}`);
  assert.equal(exit.exitCode, 0, exit.failure);
  assert.ok(stdout.includes(machine.netns));
  assert.match(stdout, /^box$/m, 'the name is its own');
  assert.match(stdout, new RegExp(`: ${BRIDGE} +inet 10\\.210\\.0\\.1/16`));
  assert.match(await machine.namespace.exec('ip', '-o', 'link', 'show', BRIDGE), /<[^>]*\bUP\b/);
  assert.doesNotMatch(await machine.namespace.exec('ip', 'addr'), /10\.9\.9\.9/);
  assert.equal(await machine.namespace.exec('cat', '/proc/sys/net/ipv4/ip_default_ttl'), '64\n');
  assert.equal(await machine.namespace.exec('cat', '/proc/sys/net/ipv4/ping_group_range'), pingGroups);
});

test('lxcConfig() puts a container into the network of another one, which keeps it', async (t) => {
  const machine = await makeMachine(t);
  const other = await machine.start('other', VETH, 'cat');
  const pid = await machine.initOf(other);
  const { stdout, exit } = await machine.run({ type: 'share', pid }, `${SHOW}; exit 5`);
  assert.equal(exit.exitCode, 5, exit.failure);
  assert.ok(stdout.includes(readlinkSync(`/proc/${pid}/ns/net`)));
  assert.match(stdout, /: eth0 +inet 10\.210\.1\.2\/16 /);
  assert.match(stdout, /^default via 10\.210\.0\.1 dev eth0/m);
  const kept = await execute(['nsenter', '-t', String(pid), '-n', 'ip', '-o', 'addr']);
  assert.match(kept, /: eth0 +inet 10\.210\.1\.2\/16 /);
  await machine.end(other);
  assert.deepEqual(await machine.namespace.links(), ['lo', BRIDGE]);
});

test('lxcConfig() fails with a reason, and nothing is made, where there is no such bridge or the name is taken', async (t) => {
  const machine = await makeMachine(t);
  await machine.namespace.ip('link add vethlx000001 type bridge');
  for (const [bridge, failure] of [
    ['nobridge0', /^No such file or directory - Failed to attach .* to bridge "nobridge0"/],
    [BRIDGE, /^File exists - Failed to create veth pair "vethlx000001"/],
  ] as const) {
    const { exit } = await machine.run(
      { ...VETH, bridge, hostInterface: `vethlx00000${bridge === BRIDGE ? 1 : 2}` },
      ':',
    );
    assert.equal(exit.exitCode, 255);
    assert.match(exit.failure ?? '', failure);
    assert.deepEqual((await machine.namespace.links()).sort(), ['lo', BRIDGE, 'vethlx000001'].sort());
  }
});

test('lxcConfig() shows files of the container over those of the image, and nothing of them in rw', async (t) => {
  const machine = await makeMachine(t);
  const { folder, rootfs, rw } = machine.mountUnion();
  const settings = { root: folder, rootfs, hostname: 'box', address: '10.210.1.2', isHostNetwork: false };
  const files = writeEtcFiles({ ...settings, resolvConf: 'nameserver 192.0.2.1\n' });
  assert.equal(files.length, 3);
  const read = 'cat /etc/hostname /etc/resolv.conf /etc/hosts';
  const write = 'echo own >> /etc/hosts; chmod 600 /etc/hostname; touch /etc/hosts; echo bad >> /etc/resolv.conf';
  const { stdout, exit } = await machine.run(VETH, `${read}; ${write}; tail -n 1 /etc/hosts`, { rootfs, files });
  assert.equal(exit.exitCode, 0, exit.failure);
  assert.match(stdout, /^box\nnameserver 192\.0\.2\.1\n127\.0\.0\.1\tlocalhost\n[^]*10\.210\.1\.2\tbox\nown\n$/);
  assert.equal(readFileSync(join(folder, 'resolv.conf'), 'utf8'), 'nameserver 192.0.2.1\n');
  umountBelow(folder);
  assert.deepEqual(readdirSync(rw, { recursive: true }), []);
});

test('lxcConfig() leaves a file out where the image has nothing to mount on', async (t) => {
  const machine = await makeMachine(t);
  const { folder, rootfs, rw } = machine.mountUnion();
  const source = join(folder, 'own');
  writeFileSync(source, '');
  const files = [{ source, target: 'etc/missing/file', isReadOnly: false }];
  const { stdout, exit } = await machine.run({ type: 'empty' }, 'ls /etc/missing; echo $?', { rootfs, files });
  assert.equal(exit.exitCode, 0, exit.failure);
  assert.equal(stdout, '1\n');
  umountBelow(folder);
  assert.deepEqual(readdirSync(rw, { recursive: true }), []);
});

type Running = ChildProcessByStdio<Writable, Readable, null>;

interface Machine {
  readonly namespace: Namespace;
  /** the name of the namespace */
  readonly netns: string;
  /** Runs a script in a container to its end. */
  run(
    network: LxcNetwork,
    script: string,
    tree?: { rootfs: string; files: readonly OwnFile[] },
  ): Promise<{ stdout: string; exit: LxcExit }>;
  /** Starts a program in the container `id`. */
  start(id: string, network: LxcNetwork, program: string): Promise<Running>;
  initOf(lxcStart: Running): Promise<number>;
  /** Ends the input of the program, and waits for the end of lxc-start. */
  end(lxcStart: Running): Promise<void>;
  /** A folder with an overlay mount in it. */
  mountUnion(): { folder: string; rootfs: string; rw: string };
}

/** A namespace with a bridge, in which lxc-start runs. */
async function makeMachine(t: TestContext): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-lxc-network-'));
  const namespace = await Namespace.start();
  t.after(() => namespace.close());
  namespace.guard(folder);
  await namespace.ip(`link add ${BRIDGE} type bridge`, `addr add ${GATEWAY}/16 dev ${BRIDGE}`, `link set ${BRIDGE} up`);
  const image = join(folder, 'image');
  const lxcPath = join(folder, 'containers');
  for (const path of [image, lxcPath]) mkdirSync(path);
  execFileSync('tar', ['-C', image, '-x'], { input: fixtureTar() });
  const lxcMachine = readLxcMachine(await lxcVersion(), await placeSeccompProfile(folder, () => undefined));

  const commandOf = async (
    id: string,
    network: LxcNetwork,
    program: string[],
    rootfs = image,
    files: readonly OwnFile[] = [],
  ) => {
    const root = join(lxcPath, id);
    mkdirSync(root);
    const configPath = join(root, 'config.lxc');
    const settings = {
      hostname: 'box',
      rootfs,
      environment: ['PATH=/bin'],
      memoryLimitBytes: 0,
      user: { uid: 0, gid: 0 },
      terminalPath: undefined,
    };
    writeFileSync(configPath, lxcConfig({ ...settings, network, files }, lxcMachine));
    const logPath = join(root, 'lxc.log');
    const start = { id, lxcPath, configPath, logPath, underInit: false, command: program, stdio: [] };
    // Of the namespaces only that of the network: what is mounted here is to be seen there.
    const enter = ['nsenter', `--net=/proc/${namespace.pid}/ns/net`, ...withOwnSys(folder)];
    return { logPath, command: [...enter, 'lxc-start', ...lxcStartArguments(start)] };
  };

  let runs = 0;
  return {
    namespace,
    netns: (await namespace.exec('readlink', '/proc/self/ns/net')).trim(),
    run: async (network, script, tree) => {
      const program = ['/bin/sh', '-c', `{ ${script}; } 2> /dev/null`];
      const { command, logPath } = await commandOf(`run${++runs}`, network, program, tree?.rootfs, tree?.files);
      // lxc-start fails where the container does not start: its log says so.
      const stdout = await execute(['sh', '-c', '"$@" 2> /dev/null || :', 'sh', ...command]);
      return { stdout, exit: readLxcExit(logPath) };
    },
    start: async (id, network, program) => {
      const { command } = await commandOf(id, network, [`/bin/${program}`]);
      const [first = '', ...args] = command;
      return spawn(first, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    },
    initOf: async ({ pid = 0 }) => {
      const isProgram = (init: number | undefined): boolean =>
        init !== undefined && processArguments(init)[0] === '/bin/cat';
      await until(() => isProgram(containerInit(pid)), 'the program runs');
      return containerInit(pid) ?? 0;
    },
    end: async (child) => {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.stdout.resume();
      child.stdin.end();
      await ended;
    },
    mountUnion: () => {
      const union = join(folder, 'union');
      const [rootfs, rw, work] = ['rootfs', 'rw', 'work'].map((name) => join(union, name));
      assert.ok(rootfs !== undefined && rw !== undefined && work !== undefined);
      for (const path of [rootfs, rw, work]) mkdirSync(path, { recursive: true });
      const options = `lowerdir=${image},upperdir=${rw},workdir=${work}`;
      execFileSync('mount', ['-t', 'overlay', '-o', options, 'none', rootfs]);
      return { folder: union, rootfs, rw };
    },
  };
}

/**
 * The command that runs another one with the interfaces of its network namespace below /sys. LXC looks for the bridge
 * there, and /sys shows the namespace that it was mounted in.
 */
function withOwnSys(folder: string): string[] {
  const names = ['class/net', 'devices/virtual/net'];
  const sys = join(folder, 'sys');
  mkdirSync(sys, { recursive: true });
  const binds = names.map((name) => `mount --bind ${sys}/${name} /sys/${name} &&`).join(' ');
  return ['unshare', '--mount', 'sh', '-c', `mount -t sysfs sysfs ${sys} && ${binds} exec "$@"`, 'sh'];
}
