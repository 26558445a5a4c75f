// Errors of the C library: what they carry, and that errno is the right one.

import assert from 'node:assert/strict';
import { constants } from 'node:os';
import test from 'node:test';
import { bind, bindAsync, flagNames, hasCode, SyscallError } from '../../src/linux/libc.js';
import { mount } from '../../src/linux/mount.js';

test('SyscallError carries what was tried and why it failed, and says it in one line', () => {
  const error = new SyscallError('mount', constants.errno.EINVAL, {
    path: '/x',
    flags: 'MS_RDONLY',
    data: "aufs 'none'",
  });
  assert.deepEqual(
    [error.name, error.code, error.syscall, error.path, error.flags, error.data],
    ['SyscallError', 'EINVAL', 'mount', '/x', 'MS_RDONLY', "aufs 'none'"],
  );
  assert.equal(error.message, "mount '/x' (MS_RDONLY, aufs 'none'): invalid argument");
});

test('SyscallError leaves out of its text what is not known', () => {
  assert.equal(new SyscallError('pipe', constants.errno.EMFILE, {}).message, 'pipe: too many open files');
  assert.equal(
    new SyscallError('x', constants.errno.EPERM, { flags: '', data: 'd' }).message,
    'x (d): operation not permitted',
  );
});

test('SyscallError takes a number that node does not know', () => {
  const error = new SyscallError('x', 9_999, {});
  assert.deepEqual([error.code, error.message], ['ERRNO_9999', 'x: unknown error']);
});

test('bind() throws the errno of its own call, and returns what is no failure', () => {
  const close = bind('int close(int fd)');
  const access = bind('int access(const char *path, int mode)');
  for (let i = 0; i < 50; i++) {
    assert.throws(() => close({ path: 'descriptor -1' }, -1), {
      code: 'EBADF',
      syscall: 'close',
      path: 'descriptor -1',
    });
    assert.throws(() => access({ path: '/missing' }, '/missing', 0), { code: 'ENOENT', syscall: 'access' });
  }
  assert.equal(access({}, '/', 0), 0);
  assert.equal(bind('int getpid()')({}), process.pid);
});

test('bindAsync() rejects with the errno of its own call, many at once', async () => {
  const close = bindAsync('int close(int fd)');
  const access = bindAsync('int access(const char *path, int mode)');
  const codes = await Promise.all(
    Array.from({ length: 50 }, (_, i) =>
      (i % 2 === 0 ? close({}, -1) : access({}, '/missing', 0)).then(
        () => 'no error',
        (error: unknown) => (error instanceof SyscallError ? error.code : String(error)),
      ),
    ),
  );
  assert.deepEqual(
    codes,
    Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 'EBADF' : 'ENOENT')),
  );
  assert.equal(await access({}, '/', 0), 0);
});

test('hasCode() knows the code of an error by class or by shape, and of nothing else', () => {
  const error = Object.assign(new Error('x'), { code: 'ENOENT' });
  assert.equal(hasCode(error, 'ENOENT'), true);
  assert.equal(hasCode(error, 'EPERM', 'ENOENT'), true);
  assert.equal(hasCode(error, 'EPERM'), false);
  for (const other of [
    new Error('ENOENT'),
    { code: 'ENOENT' },
    null,
    undefined,
    'ENOENT',
    Object.assign(new Error(), { code: 2 }),
  ])
    assert.equal(hasCode(other, 'ENOENT'), false);
});

test('flagNames() names the bits that are set', () => {
  const names = { A: 1, B: 2, AB: 3, NONE: 0 };
  assert.equal(flagNames(0, names), '');
  assert.equal(flagNames(2, names), 'B');
  assert.equal(flagNames(3, names), 'A|B|AB');
});

test('mount() fails with every argument of the call', () => {
  const call = { source: 'none', target: '/missing', type: 'nosuchfs', flags: 1 | 4, data: 'a=b' };
  assert.throws(
    () => mount(call),
    (error) => {
      assert.ok(error instanceof SyscallError);
      assert.match(error.code, /^(ENOENT|ENODEV)$/);
      assert.deepEqual(
        [error.syscall, error.path, error.flags, error.data],
        ['mount', '/missing', 'MS_RDONLY|MS_NODEV', "nosuchfs 'none' a=b"],
      );
      return true;
    },
  );
});
