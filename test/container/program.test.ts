// Looking a program up in a container's tree: inside it, whatever its links say.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { canExecute, SEARCH_PATH } from '../../src/container/program.js';
import { mkfifo } from '../../src/linux/pipe.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** A root below a folder that holds a program, too; `files` by path with their modes. */
function rootfs(t: TestContext, files: Record<string, number>): string {
  const outside = temporaryFolder(t);
  writeFileSync(join(outside, 'outside'), '', { mode: 0o755 });
  const root = join(outside, 'rootfs');
  mkdirSync(root);
  for (const [name, mode] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    writeFileSync(join(root, name), '');
    chmodSync(join(root, name), mode);
  }
  return root;
}

test('canExecute() finds a program by its path', (t) => {
  const root = rootfs(t, { 'bin/sh': 0o755, 'data/run me': 0o001 });
  for (const name of ['/bin/sh', 'bin/sh', '//bin/../bin/./sh', '/data/run me'])
    assert.equal(canExecute(root, name), true, name);
});

test('canExecute() finds no program where there is none', (t) => {
  const root = rootfs(t, { 'bin/sh': 0o755 });
  for (const name of [
    '/bin/bash',
    '/nothing/sh',
    '/bin/sh/x',
    '/bin/sh/',
    'bash',
    '',
    '/bin/sh\0',
    `/${'x'.repeat(5000)}`,
  ])
    assert.equal(canExecute(root, name), false, name.slice(0, 20));
});

test('canExecute() takes no file without an execute bit, no folder and no FIFO', (t) => {
  const root = rootfs(t, { 'bin/plain': 0o644 });
  mkdirSync(join(root, 'bin/folder'), { mode: 0o755 });
  mkfifo(join(root, 'bin/fifo'), 0o755);
  for (const name of ['/bin/plain', '/bin/folder', '/bin', '/', '.', '/bin/fifo', 'plain', 'folder'])
    assert.equal(canExecute(root, name), false, name);
});

test('canExecute() looks a bare name up along PATH, past what cannot be executed', (t) => {
  for (const folder of SEARCH_PATH)
    assert.equal(canExecute(rootfs(t, { [`${folder}/program`]: 0o755 }), 'program'), true);
  assert.equal(canExecute(rootfs(t, { 'usr/bin/x': 0o644, 'bin/x': 0o755 }), 'x'), true);
  assert.equal(canExecute(rootfs(t, { 'opt/x': 0o755, x: 0o755 }), 'x'), false);
});

test('canExecute() resolves absolute links inside the tree', (t) => {
  const root = rootfs(t, { 'real/busybox': 0o755, 'bin/.keep': 0 });
  symlinkSync('/real/busybox', join(root, 'bin/sh'));
  symlinkSync('/real', join(root, 'sbin'));
  assert.equal(canExecute(root, '/bin/sh'), true);
  assert.equal(canExecute(root, 'sh'), true);
  assert.equal(canExecute(root, 'busybox'), true, 'through the link of a folder');
  symlinkSync('/outside', join(root, 'bin/host'));
  assert.equal(canExecute(root, '/bin/host'), false);
});

test('canExecute() does not leave the tree', (t) => {
  const root = rootfs(t, { 'bin/.keep': 0 });
  symlinkSync('../../outside', join(root, 'bin/up'));
  symlinkSync(join(dirname(root), 'outside'), join(root, 'bin/absolute'));
  symlinkSync('loop', join(root, 'bin/loop'));
  for (const name of [
    '../outside',
    '/../outside',
    'bin/../../outside',
    '/bin/up',
    '/bin/absolute',
    'up',
    'absolute',
    'loop',
  ])
    assert.equal(canExecute(root, name), false, name);
});

test('canExecute() throws where there is no tree', (t) => {
  assert.throws(() => canExecute(join(temporaryFolder(t), 'missing'), 'sh'), { code: 'ENOENT' });
});
