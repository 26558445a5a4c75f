// The files below /etc that a container gets of its own: what they say, over which files of the image they go, and what
// an image cannot do with links and names.

import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { writeEtcFiles, type EtcFilesSettings } from '../../src/container/etc-files.js';
import type { OwnFile } from '../../src/lxc/lxc-config.js';

test('writeEtcFiles() writes hosts, hostname and resolv.conf into the folder of the container', (t) => {
  const container = makeContainer(t, { 'etc/hosts': 'x', 'etc/hostname': 'x', 'etc/resolv.conf': 'x' });
  assert.deepEqual(container.write(), [
    { source: container.path('hosts'), target: 'etc/hosts', isReadOnly: false },
    { source: container.path('hostname'), target: 'etc/hostname', isReadOnly: false },
    { source: container.path('resolv.conf'), target: 'etc/resolv.conf', isReadOnly: true },
  ]);
  assert.equal(container.read('hostname'), 'abcd1234\n');
  assert.equal(container.read('resolv.conf'), 'nameserver 192.0.2.1\n');
  const hosts = hostsOf(container.read('hosts'));
  assert.deepEqual(hosts.get('127.0.0.1'), ['localhost']);
  assert.ok(hosts.get('::1')?.includes('localhost'));
  assert.deepEqual(hosts.get('172.17.0.2'), ['abcd1234']);
  for (const name of ['hosts', 'hostname', 'resolv.conf'])
    assert.equal(statSync(container.path(name)).mode & 0o7777, 0o644);
});

test('writeEtcFiles() touches nothing in the image', (t) => {
  const container = makeContainer(t, { 'etc/hosts': 'the image', 'etc/resolv.conf': '' });
  const file = container.path('rootfs/etc/hosts');
  const before = statSync(file, { bigint: true });
  container.write();
  const after = statSync(file, { bigint: true });
  assert.equal(readFileSync(file, 'utf8'), 'the image');
  assert.deepEqual([after.mtimeNs, after.ctimeNs, after.atimeNs], [before.mtimeNs, before.ctimeNs, before.atimeNs]);
  assert.deepEqual(readdirSync(container.path('rootfs/etc')), ['hosts', 'resolv.conf']);
});

test('writeEtcFiles() gives a container without an address its name at 127.0.1.1', (t) => {
  const container = makeContainer(t, { 'etc/hosts': '' });
  container.write({ isHostNetwork: false, address: undefined });
  assert.deepEqual(hostsOf(container.read('hosts')).get('127.0.1.1'), ['abcd1234']);
});

test('writeEtcFiles() keeps what the host calls others in the network of the host', (t) => {
  const container = makeContainer(t, { 'etc/hosts': '' });
  const ofHost = readFileSync('/etc/hosts', 'utf8');
  container.write({ isHostNetwork: true, address: undefined });
  const text = container.read('hosts');
  assert.ok(text.startsWith(ofHost));
  assert.match(text.slice(ofHost.length), /^\n?127\.0\.1\.1\tabcd1234\n$/);
  const [known = ''] = [...hostsOf(ofHost).values()].flat();
  container.write({ isHostNetwork: true, address: undefined, hostname: known });
  assert.equal(container.read('hosts').trimEnd(), ofHost.trimEnd(), 'the host has a name for it');
});

test('writeEtcFiles() writes only what the image has a file for', (t) => {
  const container = makeContainer(t, { 'etc/hostname': '' });
  mkdirSync(container.path('rootfs/etc/hosts'));
  assert.deepEqual(container.targets(), ['etc/hostname']);
  assert.deepEqual(readdirSync(container.path('.')).sort(), ['hostname', 'rootfs']);
  assert.deepEqual(makeContainer(t, {}).write(), [], 'no /etc');
  assert.deepEqual(makeContainer(t, { etc: 'a file' }).write(), []);
});

test('writeEtcFiles() replaces what an earlier run left', (t) => {
  const container = makeContainer(t, { 'etc/hosts': '', 'etc/hostname': '' });
  container.write();
  writeFileSync(container.path('hostname'), 'a much longer name than before\n');
  chmodSync(container.path('hostname'), 0o4755);
  rmSync(container.path('hosts'));
  symlinkSync('/etc/passwd', container.path('hosts')); // no program could make it, but nothing would be lost by it
  const passwd = readFileSync('/etc/passwd', 'utf8');
  container.write();
  assert.equal(container.read('hostname'), 'abcd1234\n');
  assert.equal(statSync(container.path('hostname')).mode & 0o7777, 0o644);
  assert.match(container.read('hosts'), /localhost/);
  assert.equal(readFileSync('/etc/passwd', 'utf8'), passwd);
});

test('writeEtcFiles() makes files that everybody can read, whatever the umask', (t) => {
  const container = makeContainer(t, { 'etc/hostname': '' });
  const umask = process.umask(0o077);
  try {
    container.write();
  } finally {
    process.umask(umask);
  }
  assert.equal(statSync(container.path('hostname')).mode & 0o7777, 0o644);
});

test('writeEtcFiles() says which file it cannot write', (t) => {
  const container = makeContainer(t, { 'etc/hostname': '' });
  mkdirSync(container.path('hostname'));
  assert.throws(
    () => container.write(),
    (error: Error) => error.message.startsWith(`Cannot write "${container.path('hostname')}": `),
  );
});

test('writeEtcFiles() follows a link of the image as a program inside would', (t) => {
  const container = makeContainer(t, { 'run/resolv.conf': '', 'usr/etc/hosts': '', 'etc/name': '' });
  symlinkSync('/run/resolv.conf', container.path('rootfs/etc/resolv.conf'));
  symlinkSync('../../../usr/./etc/hosts', container.path('rootfs/etc/hosts')); // past the root, which is where it stops
  symlinkSync('name', container.path('rootfs/etc/hostname'));
  assert.deepEqual(container.targets(), ['usr/etc/hosts', 'etc/name', 'run/resolv.conf']);
});

test('writeEtcFiles() takes the folder that /etc leads to', (t) => {
  const container = makeContainer(t, { 'usr/etc/hosts': '' });
  symlinkSync('usr/etc', container.path('rootfs/etc'));
  assert.deepEqual(container.targets(), ['usr/etc/hosts']);
});

test('writeEtcFiles() leaves out a link that leads to no file of the image', (t) => {
  const container = makeContainer(t, { 'etc/hosts': '' });
  const outside = join(container.path('.'), 'outside');
  writeFileSync(outside, '');
  for (const target of [
    '/run/systemd/resolve/stub-resolv.conf',
    outside,
    `../../${outside}`,
    '../../outside',
    '/proc/self/root/etc/hosts',
    '/etc',
    'resolv.conf',
    'hosts/below',
    'x'.repeat(300),
  ]) {
    rmSync(container.path('rootfs/etc/resolv.conf'), { force: true });
    symlinkSync(target, container.path('rootfs/etc/resolv.conf'));
    assert.deepEqual(container.targets(), ['etc/hosts'], target);
  }
});

test('writeEtcFiles() leaves out a file that LXC mounts over', (t) => {
  const container = makeContainer(t, { 'etc/hosts': '', 'dev/file': '', 'proc/sys/net/file': '', 'sys/file': '' });
  for (const target of ['/dev/file', '/proc/sys/net/file', '../sys/file']) {
    rmSync(container.path('rootfs/etc/hostname'), { force: true });
    symlinkSync(target, container.path('rootfs/etc/hostname'));
    assert.deepEqual(container.targets(), ['etc/hosts'], target);
  }
});

test('writeEtcFiles() leaves out a name that LXC could misread', (t) => {
  for (const name of [
    'a b',
    'a\tb',
    'a\nlxc.hook.start = /x',
    'a\\040b',
    'a"b',
    "a'b",
    'a#b',
    'a\x7fb',
    'ü',
    'a\u2028b',
  ]) {
    const container = makeContainer(t, { 'etc/hosts': '', [join('run', name, 'file')]: '' });
    symlinkSync(`/run/${name}/file`, container.path('rootfs/etc/resolv.conf'));
    assert.deepEqual(container.targets(), ['etc/hosts'], JSON.stringify(name));
  }
  const container = makeContainer(t, { 'etc/hosts': '' });
  const bytes = Buffer.concat([Buffer.from(`${container.path('rootfs/etc')}/`), Buffer.of(0xff)]);
  writeFileSync(bytes, '');
  symlinkSync(Buffer.of(0xff), container.path('rootfs/etc/resolv.conf'));
  assert.deepEqual(container.targets(), ['etc/hosts'], 'bytes that are no UTF-8');
});

interface TestContainer {
  /** a path below the folder of the container */
  path(name: string): string;
  read(name: string): string;
  write(settings?: Partial<EtcFilesSettings>): OwnFile[];
  targets(): string[];
}

/** The folder of a container, with these files in its root. */
function makeContainer(t: TestContext, files: Readonly<Record<string, string>>): TestContainer {
  const root = mkdtempSync(join(tmpdir(), 'tsdock-etc-files-'));
  t.after(() => rmSync(root, { recursive: true }));
  const rootfs = join(root, 'rootfs');
  mkdirSync(rootfs);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(rootfs, name)), { recursive: true });
    writeFileSync(join(rootfs, name), text);
  }
  const settings = { root, rootfs, hostname: 'abcd1234', isHostNetwork: false, resolvConf: 'nameserver 192.0.2.1\n' };
  const write = (changed: Partial<EtcFilesSettings> = {}): OwnFile[] =>
    writeEtcFiles({ ...settings, address: '172.17.0.2', ...changed });
  return {
    path: (name) => join(root, name),
    read: (name) => readFileSync(join(root, name), 'utf8'),
    write,
    targets: () => write().map(({ target }) => target),
  };
}

/** The names of each address of a hosts file. */
function hostsOf(text: string): Map<string, string[]> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [address = '', ...names] = line.split(/\s+/);
      return [address, names];
    }),
  );
}
