// A way down and up by open directories.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { mkdirat, nativeName } from '../../src/linux/at.js';
import { DirectoryStack } from '../../src/linux/directory-stack.js';
import { DirectoryReader } from '../../src/linux/read-directory.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const D = nativeName('d');
const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

test('DirectoryStack goes far down and comes back, with few descriptors', (t) => {
  const root = temporaryFolder(t);
  const before = openDescriptors();
  const stack = new DirectoryStack(root);
  for (let depth = 0; depth < 500; depth++) {
    mkdirat(stack.fd, D, 0o755);
    stack.enter(D);
  }
  assert.equal(stack.depth, 500);
  assert.ok(openDescriptors() < before + 40);
  mkdirat(stack.fd, nativeName('bottom'), 0o755);
  for (let depth = 500; depth > 0; depth--) stack.leave();
  mkdirat(stack.fd, nativeName('top'), 0o755);
  stack.close();
  assert.deepEqual(readdirSync(root).sort(), ['d', 'top']);
  assert.deepEqual(readdirSync(join(root, 'd/'.repeat(500))), ['bottom']);
  assert.equal(openDescriptors(), before);
});

test('DirectoryStack.enter() follows no link, and stays where it is', (t) => {
  const root = temporaryFolder(t);
  symlinkSync('/etc', join(root, 'link'));
  const stack = new DirectoryStack(root);
  assert.throws(() => stack.enter(nativeName('link')), { code: 'ENOTDIR' });
  assert.throws(() => stack.enter(nativeName('missing')), { code: 'ENOENT' });
  assert.equal(stack.depth, 0);
  assert.throws(() => stack.leave(), /root of the walk/);
  stack.close();
});

test('DirectoryStack.leave() does not go up where a closed directory was moved', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'a', 'd/'.repeat(100)), { recursive: true });
  mkdirSync(join(root, 'b'));
  const stack = new DirectoryStack(join(root, 'a'));
  for (let depth = 0; depth < 100; depth++) stack.enter(D);
  renameSync(join(root, 'a', 'd/'.repeat(10)), join(root, 'b/d'));
  assert.throws(() => {
    while (stack.depth > 0) stack.leave();
  }, /moved/);
  stack.close();
});

test('DirectoryReader.read() tells names as bytes and their types, of many files too, and again', (t) => {
  const root = temporaryFolder(t);
  const names = Array.from({ length: 2000 }, (_, i) => `folder-${'x'.repeat(i % 200)}-${i}`);
  for (const name of names) mkdirSync(join(root, name));
  symlinkSync('x', Buffer.from(`${root}/\xff`, 'latin1'));
  const stack = new DirectoryStack(root);
  const reader = new DirectoryReader();
  for (let round = 0; round < 2; round++) {
    const found = reader.read(stack.fd);
    assert.deepEqual(found.map(({ name }) => name).sort(), [...names, '\xff'].sort());
    assert.deepEqual(new Set(found.map(({ type }) => type)), new Set([0o040000, 0o120000]));
  }
  stack.close();
});
