// The calls that name a file by an open directory: that they stay in it, follow nothing, and say what failed.

import assert from 'node:assert/strict';
import { constants, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import * as at from '../../src/linux/at.js';
import { fsetxattr, lreadxattrs, lsetxattrAt } from '../../src/linux/xattr.js';
import { SyscallError } from '../../src/linux/libc.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const { O_DIRECTORY, O_RDONLY, S_IFBLK, S_IFIFO } = constants;

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
