// What a program sees from inside its container, and what it cannot do there.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, copyFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestDaemon } from '../harness.js';

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

const inside = (script: string): Promise<string> => daemon.call('run', '-a', 'base', 'sh', '-c', script);

test('the host name is the id of the container', async () => {
  const name = await inside('hostname');
  assert.match(name, /^[0-9a-f]{8}\n$/);
  assert.match(await daemon.call('ps', '-a', '-q'), new RegExp(`^${name}`, 'm'));
});

test('the program is process 1 and sees no other', async () => {
  assert.equal(await inside('echo $$; cd /proc; echo [0-9]*'), '1\n1\n');
});

test('the environment is that of March 2013', async () => {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  assert.equal(await daemon.call('run', '-a', 'base', 'env'), `HOME=/\nPATH=${path}\ncontainer=lxc\n`);
  assert.match(await daemon.call('run', '-a', '-t', 'base', 'env'), /^TERM=xterm\r\n/m);
});

test('each namespace but that of users is its own', async () => {
  const names = ['ipc', 'mnt', 'net', 'pid', 'uts'];
  const host = names.map((name) => execFileSync('readlink', [`/proc/self/ns/${name}`]).toString());
  // busybox has no readlink here: ls shows where the link points
  const own = (await inside('ls -l /proc/self/ns')).split('\n');
  for (const [i, name] of names.entries()) {
    const line = own.find((text) => text.includes(` ${name} -> `)) ?? '';
    assert.ok(line !== '' && !line.includes((host[i] ?? '').trim()), `${name}: ${line}`);
  }
});

test('loopback is up, and ping needs no privilege', async () => {
  assert.match(await inside('ip addr show lo'), /LOOPBACK,UP.*127\.0\.0\.1\/8/s);
  assert.equal(await inside('cat /proc/sys/net/ipv4/ping_group_range'), '0\t2147483647\n');
});

test('/proc/sys and /sys cannot be written', async () => {
  assert.match(await inside('echo x > /proc/sys/kernel/hostname'), /Read-only file system/);
  assert.match(await inside('echo 1 > /proc/sys/vm/drop_caches'), /Read-only file system/);
  assert.match(await inside('mkdir /sys/kernel/x'), /Read-only file system|Operation not permitted/);
  // where the kernel has the file at all
  assert.match(await inside('echo b > /proc/sysrq-trigger'), /Read-only file system|can't create|nonexistent/);
});

test('/dev has the usual nodes and /dev/pts', async () => {
  const nodes = (await inside('ls /dev')).split('\n');
  for (const name of [
    'console',
    'fd',
    'full',
    'null',
    'ptmx',
    'pts',
    'random',
    'shm',
    'stderr',
    'stdin',
    'stdout',
    'tty',
    'urandom',
    'zero',
  ]) {
    if (name !== 'console') assert.ok(nodes.includes(name), `${name} in ${nodes.join(' ')}`);
  }
  assert.equal(
    await inside('head -c 3 /dev/zero | od -An -tx1; echo x > /dev/null; test -c /dev/urandom && echo yes'),
    ' 00 00 00\nyes\n',
  );
  assert.match(await daemon.call('run', '-a', '-t', 'base', 'tty'), /^\/dev\/pts\/\d+\r\n$/);
});

test('stdout and stderr can be opened again by name', async () => {
  const script = 'echo one > /dev/stdout; echo two > /dev/stderr; echo three';
  const { stdout, stderr } = await daemon.tsdock(['run', 'base', 'sh', '-c', script]);
  assert.deepEqual([stdout, stderr], ['one\nthree\n', 'two\n']);
});

test('resolv.conf is that of the host, read-only', async () => {
  const script = 'cat /etc/resolv.conf > /tmp/copy; echo x 2>&1 >> /etc/resolv.conf; mount | grep -c resolv.conf';
  assert.match(await inside(script), /Read-only file system[\s\S]*\n1\n$/);
});

test('capabilities of 2013 and those that matter today are dropped', async () => {
  const [, hex = ''] = /CapBnd:\s+(\w+)/.exec(await inside('grep CapBnd /proc/self/status')) ?? [];
  const bounding = BigInt(`0x${hex}`);
  // dac_read_search setpcap net_raw sys_module sys_rawio sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time
  // sys_tty_config mknod audit_write audit_control setfcap mac_override mac_admin syslog wake_alarm block_suspend
  // audit_read perfmon bpf checkpoint_restore
  const dropped = [2, 8, 13, 16, 17, 20, 21, 22, 23, 24, 25, 26, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40];
  assert.deepEqual(
    dropped.filter((number) => (bounding >> BigInt(number)) & 1n),
    [],
  );
  assert.ok(bounding & 1n, 'chown is kept');
  assert.match(await inside('mknod /tmp/n c 1 3'), /Operation not permitted/);
  assert.match(await inside('mount -t tmpfs none /tmp'), /permission denied|Operation not permitted/);
  assert.match(await inside('hostname other'), /Operation not permitted/);
});

test('devices of the host cannot be opened, also where a node of them is in the image', async () => {
  const root = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  try {
    mkdirSync(join(root, 'bin'));
    copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
    execFileSync('mknod', [join(root, 'memory'), 'c', '1', '1']);
    const tar = execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 1 << 26 });
    assert.match(await daemon.callWith(tar, 'put', 'nodes'), /^nodes:/);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
  assert.match(
    await daemon.call('run', '-a', 'nodes', '/bin/busybox', 'head', '-c', '1', '/memory'),
    /Operation not permitted/,
  );
});

test('an image without /proc, /sys, /dev and /etc runs', async () => {
  // the image of the test before has nothing but /bin/busybox and a node
  const script = 'echo $(/bin/busybox ls /proc/1/comm) $(/bin/busybox ls /dev/null)';
  assert.equal(await daemon.call('run', '-a', 'nodes', '/bin/busybox', 'sh', '-c', script), '/proc/1/comm /dev/null\n');
});

test('no descriptor but the streams is handed to the program', async () => {
  const listed = (await inside('ls /proc/self/fd')).trim().split('\n');
  assert.deepEqual(listed, ['0', '1', '2', '3']); // 3 is the folder that ls reads
});

test('a name with quotes, spaces, newlines and equals signs reaches the program as it is', async () => {
  const odd = ['a b', '"quoted"', 'x=y', 'new\nline', "it's", '{{hostname}}', '-- -x', 'ü☃'];
  assert.equal(await daemon.call('run', '-a', 'base', 'printf', '%s|', ...odd), odd.map((text) => `${text}|`).join(''));
});
