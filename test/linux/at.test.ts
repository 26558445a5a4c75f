// The calls that name a file by an open directory: that they stay in it, follow nothing, and say what failed.

import assert from 'node:assert/strict';
import {
  closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync, symlinkSync, truncateSync, writeFileSync, writeSync,
} from 'node:fs'; // prettier-ignore
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import * as at from '../../src/linux/at.js';
import { freadxattr, freadxattrs, fremovexattr, fsetxattr, lreadxattrs, lsetxattrAt } from '../../src/linux/xattr.js';
import { seekData, seekHole } from '../../src/linux/seek.js';
import { SyscallError } from '../../src/linux/libc.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const { O_DIRECTORY, O_RDONLY, S_IFBLK, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG } = constants;

function openFolder(t: TestContext): { folder: string; fd: number } {
  const folder = temporaryFolder(t);
  const fd = at.openat(at.AT_FDCWD, at.nativeName(folder), O_RDONLY | O_DIRECTORY);
  t.after(() => at.close(fd));
  return { folder, fd };
}

function readInRoot(root: number, name: string): string {
  const fd = at.openInRoot(root, at.nativeName(name), O_RDONLY);
  try {
    return readFileSync(fd, 'utf8');
  } finally {
    at.close(fd);
  }
}

test('openInRoot() resolves an absolute link, and `..` above the root, inside the root', (t) => {
  const { folder, fd } = openFolder(t);
  mkdirSync(join(folder, 'etc'));
  writeFileSync(join(folder, 'etc/passwd'), 'inside');
  symlinkSync('/etc/passwd', join(folder, 'absolute'));
  symlinkSync('../../../../etc/passwd', join(folder, 'upwards'));
  for (const name of ['absolute', 'upwards', '/etc/passwd', '../../etc/passwd']) {
    assert.equal(readInRoot(fd, name), 'inside');
  }
});

test('openInRoot() refuses magic links of /proc', (t) => {
  const { fd } = openFolder(t);
  const proc = at.openat(at.AT_FDCWD, at.nativeName('/proc'), O_RDONLY | O_DIRECTORY);
  t.after(() => at.close(proc));
  assert.throws(() => at.openInRoot(proc, at.nativeName(`self/fd/${fd}`), O_RDONLY), {
    code: 'ELOOP',
    syscall: 'openat2',
  });
});

test('openInRoot() fails with the call, the code and the path', (t) => {
  const { fd } = openFolder(t);
  assert.throws(
    () => at.openInRoot(fd, at.nativeName('missing/file'), O_RDONLY),
    (error) =>
      error instanceof SyscallError &&
      error.code === 'ENOENT' &&
      error.path === 'missing/file' &&
      error.message === "openat2 'missing/file': no such file or directory",
  );
});

test('nativeName() keeps bytes that are no UTF-8 and refuses NUL', () => {
  assert.deepEqual(at.nativeName(Buffer.of(0xff, 0x61)), Buffer.of(0xff, 0x61, 0));
  assert.throws(() => at.nativeName('a\0b'), /contains a NUL byte/);
});

test('utimensat() sets nanoseconds, also before 1970, of a symbolic link itself', (t) => {
  const { folder, fd } = openFolder(t);
  symlinkSync('nowhere', join(folder, 'link'));
  for (const mtimeNs of [1_234_567_890_123_456_789n, -1_500_000_001n, 0n]) {
    at.utimensat(fd, at.nativeName('link'), mtimeNs);
    assert.equal(lstatSync(join(folder, 'link'), { bigint: true }).mtimeNs, mtimeNs);
  }
});

test('linkat() and fchownat() take a symbolic link itself', (t) => {
  const { folder, fd } = openFolder(t);
  symlinkSync('/etc/passwd', join(folder, 'link'));
  at.linkat(fd, at.nativeName('link'), fd, at.nativeName('second'));
  at.fchownat(fd, at.nativeName('second'), 12, 34);
  const stats = lstatSync(join(folder, 'link'));
  assert.ok(stats.isSymbolicLink());
  assert.deepEqual([stats.uid, stats.gid, stats.nlink], [12, 34, 2]);
});

test('mknodat() makes devices with large numbers and refuses what the kernel cannot hold', (t) => {
  const { folder, fd } = openFolder(t);
  at.mknodat(fd, at.nativeName('block'), S_IFBLK | 0o600, 259, 70_000);
  const stats = lstatSync(join(folder, 'block'));
  assert.ok(stats.isBlockDevice());
  assert.equal(stats.rdev, (70_000 & 0xff) + 259 * 256 + (70_000 >>> 8) * 0x100000);
  assert.throws(() => at.mknodat(fd, at.nativeName('other'), S_IFBLK, 1, 0x100000), { code: 'EINVAL', path: 'other' });
  at.mknodat(fd, at.nativeName('fifo'), S_IFIFO | 0o600);
  assert.ok(lstatSync(join(folder, 'fifo')).isFIFO());
});

test('lreadxattrs() returns what fsetxattr() and lsetxattrAt() set', (t) => {
  const { folder, fd } = openFolder(t);
  symlinkSync('nowhere', join(folder, 'link'));
  const value = Buffer.of(0, 1, 255);
  fsetxattr(fd, Buffer.from('trusted.tsdock'), value);
  lsetxattrAt(fd, at.nativeName('link'), Buffer.from('trusted.tsdock'), value);
  assert.deepEqual(lreadxattrs(folder).get('trusted.tsdock'), value);
  assert.deepEqual(lreadxattrs(join(folder, 'link')).get('trusted.tsdock'), value);
});

test('freadxattrs() reads what lreadxattrs() reads, and fremovexattr() takes it away', (t) => {
  const { folder, fd } = openFolder(t);
  const large = Buffer.alloc(2000, 'v');
  for (const name of ['trusted.a', 'trusted.\xff']) fsetxattr(fd, Buffer.from(name, 'latin1'), large);
  fsetxattr(fd, Buffer.from('trusted.empty'), Buffer.of());
  assert.deepEqual([...freadxattrs(fd).keys()].sort(), ['trusted.a', 'trusted.empty', 'trusted.\xff']);
  assert.deepEqual(freadxattrs(fd), lreadxattrs(folder));
  assert.deepEqual(freadxattrs(fd).get('trusted.\xff'), large);
  for (const name of ['trusted.a', 'trusted.missing', 'no.such.space']) fremovexattr(fd, Buffer.from(name));
  assert.deepEqual([...freadxattrs(fd).keys()].sort(), ['trusted.empty', 'trusted.\xff']);
  assert.equal(freadxattr(fd, 'trusted.a'), undefined);
  fsetxattr(fd, Buffer.from('trusted.flag'), Buffer.from('y'));
  assert.equal(freadxattr(fd, 'trusted.flag')?.toString(), 'y');
});

test('typeAt() tells what a name stands for, of a link itself, and nothing where nothing is', (t) => {
  const { folder, fd } = openFolder(t);
  writeFileSync(join(folder, 'file'), '');
  symlinkSync('file', join(folder, 'link'));
  const types = ['file', 'link', '.', 'missing', 'file/below', 'x'.repeat(256)].map((name) =>
    at.typeAt(fd, at.nativeName(name)),
  );
  assert.deepEqual(types, [S_IFREG, S_IFLNK, S_IFDIR, undefined, undefined, undefined]);
});

test('deviceNumbers() gives back what mknodat() was given', (t) => {
  const { folder, fd } = openFolder(t);
  const devices = [[0, 0], [1, 3], [259, 70_000], [4095, 1_048_575]] as const; // prettier-ignore
  for (const [major, minor] of devices) {
    at.mknodat(fd, at.nativeName('device'), S_IFBLK, major, minor);
    assert.deepEqual(at.deviceNumbers(lstatSync(join(folder, 'device'), { bigint: true }).rdev), { major, minor });
    at.unlinkat(fd, at.nativeName('device'));
  }
});

test('openBeneath() goes down, and follows no link', (t) => {
  const { folder, fd } = openFolder(t);
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  symlinkSync('b', join(folder, 'a/link'));
  at.close(at.openBeneath(fd, at.nativeName('a/b'), O_RDONLY | O_DIRECTORY));
  for (const name of ['a/link', 'a/link/.']) {
    assert.throws(() => at.openBeneath(fd, at.nativeName(name), O_RDONLY), { code: 'ELOOP' });
  }
  for (const name of ['..', 'a/../..', '/']) {
    assert.throws(() => at.openBeneath(fd, at.nativeName(name), O_RDONLY), { code: 'EXDEV' });
  }
});

test('a call that fails on a very long name shows the beginning of it', (t) => {
  const { fd } = openFolder(t);
  assert.throws(() => at.openBeneath(fd, at.nativeName('n/'.repeat(10_000)), O_RDONLY), (error) =>
    error instanceof SyscallError && error.code === 'ENAMETOOLONG' && error.message.length < 5000,
  ); // prettier-ignore
});

test('seekData() and seekHole() tell content from holes', (t) => {
  const { folder } = openFolder(t);
  writeFileSync(join(folder, 'sparse'), '');
  truncateSync(join(folder, 'sparse'), 1 << 20);
  const fd = openSync(join(folder, 'sparse'), 'r+');
  t.after(() => closeSync(fd));
  writeSync(fd, Buffer.alloc(65_536, 'c'), 0, 65_536, 131_072);
  assert.equal(seekData(fd, 0), 131_072);
  assert.equal(seekHole(fd, 0), 0);
  assert.equal(seekHole(fd, 131_072), 196_608);
  assert.equal(seekData(fd, 196_608), undefined);
  assert.equal(seekHole(fd, 2 << 20), undefined);
});
