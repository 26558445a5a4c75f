// The LXC configuration of a container, for each kind of machine.

import assert from 'node:assert/strict';
import test from 'node:test';
import {
  lxcConfig,
  readLxcMachine,
  type LxcMachine,
  type LxcNetwork,
  type LxcSettings,
} from '../../src/lxc/lxc-config.js';

const MACHINE: LxcMachine = {
  hasNewKeys: true,
  isUnifiedCgroup: true,
  lastCapability: 40,
  init: '/usr/sbin/init.lxc.static',
  seccompProfile: '/var/lib/tsdock/lxc.seccomp',
};
const SETTINGS: LxcSettings = {
  hostname: 'abcd1234',
  rootfs: '/var/lib/tsdock/containers/abcd1234/rootfs',
  environment: ['HOME=/', 'PATH=/bin'],
  memoryLimitBytes: 0,
  user: { uid: 0, gid: 0 },
  terminalPath: undefined,
  network: { type: 'empty' },
  files: [],
};

const VETH: LxcNetwork = {
  type: 'veth',
  bridge: 'bridge9',
  hostInterface: 'vethabcd1234',
  mac: '02:42:ac:11:00:02',
  address: '172.17.0.2/16',
  gateway: '172.17.0.1',
};

/** The values of `key`, in order. */
function values(key: string, settings: Partial<LxcSettings> = {}, machine: Partial<LxcMachine> = {}): string[] {
  const text = lxcConfig({ ...SETTINGS, ...settings }, { ...MACHINE, ...machine });
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.deepEqual(
    lines.filter((line) => !/^lxc\.[\w.]+ = \S/.test(line) || line.includes('{{')),
    [],
    'every line is a key with a value',
  );
  return lines.flatMap((line) => (line.startsWith(`${key} = `) ? [line.slice(key.length + 3)] : []));
}

test('lxcConfig() uses the keys of LXC 2.1 and later', () => {
  assert.deepEqual(values('lxc.uts.name'), ['abcd1234']);
  assert.deepEqual(values('lxc.rootfs.path'), [`dir:${SETTINGS.rootfs}`]);
  assert.deepEqual(values('lxc.net.0.type'), ['empty']);
  assert.deepEqual(values('lxc.net.0.flags'), ['up']);
  assert.deepEqual(values('lxc.utsname'), []);
});

test('lxcConfig() uses the keys of 2013 for an older LXC', () => {
  const old = { hasNewKeys: false, isUnifiedCgroup: false };
  assert.deepEqual(values('lxc.utsname', {}, old), ['abcd1234']);
  assert.deepEqual(values('lxc.rootfs', {}, old), [SETTINGS.rootfs]);
  assert.deepEqual(values('lxc.network.type', {}, old), ['empty']);
  assert.deepEqual(values('lxc.network.flags', {}, old), ['up']);
  assert.deepEqual(values('lxc.uts.name', {}, old), []);
});

test('lxcConfig() gives eth0 the bridge, the addresses and the route, in the keys of each LXC', () => {
  for (const [machine, prefix, addressKey] of [
    [{}, 'lxc.net.0', 'ipv4.address'],
    [{ hasNewKeys: false, isUnifiedCgroup: false }, 'lxc.network', 'ipv4'],
  ] as const) {
    for (const [key, value] of [
      ['type', 'veth'],
      ['flags', 'up'],
      ['link', 'bridge9'],
      ['veth.pair', 'vethabcd1234'],
      ['name', 'eth0'],
      ['hwaddr', '02:42:ac:11:00:02'],
      ['mtu', '1500'],
      [addressKey, '172.17.0.2/16 172.17.255.255'],
      ['ipv4.gateway', '172.17.0.1'],
    ] as const)
      assert.deepEqual(values(`${prefix}.${key}`, { network: VETH }, machine), [value], key);
  }
});

test('lxcConfig() tells the broadcast address, which LXC works out wrongly, where the network has one', () => {
  for (const [address, value] of [
    ['10.1.2.3/8', '10.1.2.3/8 10.255.255.255'],
    ['192.168.7.130/25', '192.168.7.130/25 192.168.7.255'],
    ['192.168.7.1/30', '192.168.7.1/30 192.168.7.3'],
    ['192.168.7.1/31', '192.168.7.1/31'],
    ['192.168.7.1/32', '192.168.7.1/32'],
  ] as const)
    assert.deepEqual(values('lxc.net.0.ipv4.address', { network: { ...VETH, address } }), [value]);
  assert.throws(() => lxcConfig({ ...SETTINGS, network: { ...VETH, address: '10.1.2.3' } }, MACHINE), {
    message: 'Cannot render an LXC configuration: address "10.1.2.3": not as a.b.c.d/n',
  });
});

test('lxcConfig() names no bridge, address or other namespace for a container without a network', () => {
  for (const machine of [{}, { hasNewKeys: false }]) {
    const text = lxcConfig(SETTINGS, { ...MACHINE, ...machine });
    assert.deepEqual(text.match(/^lxc\.(net\.|network\.|namespace\.).*$/gm)?.length, 2, 'type and flags');
  }
});

test('lxcConfig() takes the network of the host', () => {
  const host = { network: { type: 'host' } } as const;
  assert.deepEqual(values('lxc.net.0.type', host), ['none']);
  assert.deepEqual(values('lxc.network.type', host, { hasNewKeys: false }), ['none']);
  assert.deepEqual(values('lxc.net.0.flags', host), []);
  assert.deepEqual(values('lxc.sysctl.net.ipv4.ping_group_range', host), []);
  assert.deepEqual(values('lxc.sysctl.net.ipv4.ping_group_range'), ['0 2147483647']);
});

test('lxcConfig() takes what could change the network of the host from every program that is joined to it', () => {
  const drops = (network: LxcNetwork, machine = {}): boolean =>
    values('lxc.cap.drop', { network }, machine).includes('net_admin');
  for (const network of [{ type: 'host' }, { type: 'share', pid: 4711 }, VETH] as const) {
    assert.equal(drops(network), true, network.type);
    if (network.type !== 'share') assert.equal(drops(network, { hasNewKeys: false }), true, network.type);
  }
  assert.equal(drops({ type: 'empty' }), false, 'loopback alone');
});

test('lxcConfig() names the list of system calls that are refused, and allows no console of the host', () => {
  assert.deepEqual(values('lxc.seccomp.profile'), ['/var/lib/tsdock/lxc.seccomp']);
  const allowed = [
    ...values('lxc.cgroup2.devices.allow'),
    ...values('lxc.cgroup.devices.allow', {}, { hasNewKeys: false }),
  ];
  assert.deepEqual(
    allowed.filter((device) => /^c (4:|5:1 )/.test(device)),
    [],
  );
});

test("lxcConfig() takes another container's network, and sets nothing in it", () => {
  const share = { network: { type: 'share', pid: 4711 } } as const;
  assert.deepEqual(values('lxc.namespace.share.net', share), ['/proc/4711/ns/net']);
  assert.deepEqual(values('lxc.net.0.type', share), []);
  assert.deepEqual(values('lxc.net.0.flags', share), []);
  assert.deepEqual(values('lxc.sysctl.net.ipv4.ping_group_range', share), []);
  assert.throws(() => lxcConfig({ ...SETTINGS, ...share }, { ...MACHINE, hasNewKeys: false }), {
    message: 'Cannot share the network of another container: this needs LXC 2.1 or later',
  });
});

test('lxcConfig() mounts files of the container, in order, each as it is to be', () => {
  const files = [
    { source: '/data/c/hosts', target: 'etc/hosts', isReadOnly: false },
    { source: '/data/c/resolv.conf', target: 'run/resolv.conf', isReadOnly: true },
  ];
  const isFile = (entry: string): boolean => entry.includes('/data/c/');
  assert.deepEqual(values('lxc.mount.entry', { files }).filter(isFile), [
    '/data/c/hosts etc/hosts none bind,optional 0 0',
    '/data/c/resolv.conf run/resolv.conf none bind,ro,optional 0 0',
  ]);
  assert.deepEqual(values('lxc.mount.entry', { files }, { hasNewKeys: false }).filter(isFile), [
    `/data/c/hosts ${SETTINGS.rootfs}/etc/hosts none bind,optional 0 0`,
    `/data/c/resolv.conf ${SETTINGS.rootfs}/run/resolv.conf none bind,ro,optional 0 0`,
  ]);
  assert.ok(values('lxc.mount.entry').every((entry) => !entry.includes('resolv.conf')));
});

test('lxcConfig() writes a path with a space or a backslash as one field of a mount entry', () => {
  const files = [{ source: '/a b/\\040c', target: 'etc/hosts', isReadOnly: false }];
  const entries = values('lxc.mount.entry', { files });
  assert.ok(entries.includes('/a\\040b/\\134040c etc/hosts none bind,optional 0 0'), entries.join('\n'));
});

test('lxcConfig() writes spaces of the root folder as \\040 where old keys name paths of the host', () => {
  const entries = values('lxc.mount.entry', { rootfs: '/a b/c d/rootfs' }, { hasNewKeys: false });
  assert.ok(entries.some((entry) => entry.startsWith('sysfs /a\\040b/c\\040d/rootfs/sys sysfs ')));
});

test('lxcConfig() limits devices through the cgroups that are mounted', () => {
  for (const [isUnifiedCgroup, prefix, other] of [
    [true, 'lxc.cgroup2', 'lxc.cgroup'],
    [false, 'lxc.cgroup', 'lxc.cgroup2'],
  ] as const) {
    assert.deepEqual(values(`${prefix}.devices.deny`, {}, { isUnifiedCgroup }), ['a']);
    assert.ok(values(`${prefix}.devices.allow`, {}, { isUnifiedCgroup }).includes('c 1:3 rwm'));
    assert.deepEqual(values(`${other}.devices.deny`, {}, { isUnifiedCgroup }), []);
  }
});

test('lxcConfig() sets a memory limit where there is one, in the key of the cgroup version', () => {
  const limit = { memoryLimitBytes: 300_000_000 };
  assert.deepEqual(values('lxc.cgroup2.memory.max', limit), ['300000000']);
  assert.deepEqual(values('lxc.cgroup.memory.limit_in_bytes', limit, { isUnifiedCgroup: false }), ['300000000']);
  assert.deepEqual(values('lxc.cgroup.memory.limit_in_bytes', limit, { hasNewKeys: false, isUnifiedCgroup: false }), [
    '300000000',
  ]);
  assert.deepEqual(values('lxc.cgroup2.memory.max'), []);
});

test('lxcConfig() leaves the console out without a terminal', () => {
  assert.deepEqual(values('lxc.console.path'), ['none']);
  assert.deepEqual(values('lxc.console', {}, { hasNewKeys: false }), ['none']);
  assert.ok(values('lxc.mount.entry').every((entry) => !entry.includes('init')));
});

test('lxcConfig() gives a container with a terminal its peer and LXC its init', () => {
  const terminal = { terminalPath: '/dev/pts/7' };
  assert.deepEqual(values('lxc.console.path', terminal), ['/dev/pts/7']);
  assert.ok(
    values('lxc.mount.entry', terminal).includes(
      '/usr/sbin/init.lxc.static dev/.tsdock-init none bind,ro,create=file 0 0',
    ),
  );
});

test('lxcConfig() leaves the init out where the machine has none', () => {
  const entries = values('lxc.mount.entry', { terminalPath: '/dev/pts/7' }, { init: undefined });
  assert.ok(entries.every((entry) => !entry.includes('tsdock-init')));
});

test('lxcConfig() writes a line for each variable, in order, and these alone', () => {
  assert.deepEqual(values('lxc.environment'), ['HOME=/', 'PATH=/bin']);
});

test('lxcConfig() drops the capabilities of 2013 and what reads the files of the host', () => {
  for (const machine of [{}, { hasNewKeys: false }]) {
    const dropped = values('lxc.cap.drop', {}, machine).join(' ').split(' ');
    for (const name of [
      'sys_admin',
      'mknod',
      'sys_module',
      'sys_rawio',
      'net_raw',
      'setpcap',
      'mac_admin',
      'dac_read_search',
    ])
      assert.ok(dropped.includes(name), name);
    for (const number of ['34', '35', '36', '37', '38', '39', '40']) assert.ok(dropped.includes(number), number);
  }
});

test('lxcConfig() names no capability that the kernel does not know', () => {
  const dropped = values('lxc.cap.drop', {}, { lastCapability: 37 }).join(' ').split(' ');
  assert.deepEqual(
    dropped.filter((name) => /^\d+$/.test(name)),
    ['34', '35', '36', '37'],
  );
});

test('lxcConfig() lets no value add a line', () => {
  const evil = 'x\nlxc.hook.pre-start = /bin/sh';
  const file = { source: '/data/c/hosts', target: 'etc/hosts', isReadOnly: true };
  for (const settings of [
    { hostname: evil },
    { rootfs: evil },
    { environment: [evil] },
    { terminalPath: evil },
    { files: [{ ...file, source: evil }] },
    { files: [{ ...file, target: evil }] },
    ...(['bridge', 'hostInterface', 'mac', 'gateway'] as const).map((key) => ({ network: { ...VETH, [key]: evil } })),
  ])
    assert.throws(() => lxcConfig({ ...SETTINGS, ...settings }, MACHINE), /is not one line of text/);
});

test('readLxcMachine() knows the generation of the keys by the version', () => {
  for (const version of ['2.1.0', '2.1.1', '3.0.3', '5.0.2', '10.0', '5.0.2-devel', '2.10.0'])
    assert.equal(readLxcMachine(version).hasNewKeys, true, version);
  for (const version of ['0.8.0-rc1', '1.0.8', '1.1.5', '2.0.11', '2.0', ''])
    assert.equal(readLxcMachine(version).hasNewKeys, false, version);
});

test('readLxcMachine() reads the kernel of this machine', () => {
  const { lastCapability, init } = readLxcMachine('5.0.2');
  assert.ok(lastCapability >= 37 && lastCapability < 64, String(lastCapability));
  assert.match(init ?? '/init.lxc.static', /^\/.*init\.lxc\.static$/);
});
