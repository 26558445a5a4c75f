// rw is replaced as a whole: before or after, whenever the daemon is killed.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { readRwDriver, replaceRw } from '../../src/filesystem/rw.js';
import { vfs } from '../../src/filesystem/vfs.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { Layered } from './layered.js';

function setUp(t: TestContext): { root: string; rw: string } {
  const root = temporaryFolder(t);
  const rw = join(root, 'rw');
  mkdirSync(rw);
  writeFileSync(join(rw, 'old'), '');
  writeFileSync(join(root, 'rw.driver'), 'overlay\n');
  return { root, rw };
}

test('readRwDriver() takes a rw without a name for one of aufs: an original wrote it', async (t) => {
  assert.equal(await readRwDriver(join(temporaryFolder(t), 'rw')), 'aufs');
});

test('replaceRw() puts what was built in the place of rw, and names its driver', async (t) => {
  const { root, rw } = setUp(t);
  await replaceRw(rw, 'vfs', async (next) => writeFileSync(join(next, 'new'), ''));
  assert.deepEqual(readdirSync(rw), ['new']);
  assert.equal(await readRwDriver(rw), 'vfs');
  assert.deepEqual(readdirSync(root).sort(), ['rw', 'rw.driver']);
});

test('replaceRw() leaves rw as it was where the new one cannot be built', async (t) => {
  const { root, rw } = setUp(t);
  const build = async (next: string): Promise<void> => {
    writeFileSync(join(next, 'half'), '');
    throw new Error('no more');
  };
  await assert.rejects(replaceRw(rw, 'vfs', build), { message: 'no more' });
  assert.deepEqual(readdirSync(rw), ['old']);
  assert.equal(await readRwDriver(rw), 'overlay');
  assert.deepEqual(readdirSync(root).sort(), ['rw', 'rw.driver']);
});

test('readRwDriver() finishes a replacement that a killed daemon left, at each of its steps', async (t) => {
  const steps: [string, (root: string) => void, string][] = [
    ['built, but not decided', (root) => mkdirSync(join(root, 'rw.next')), 'overlay old'],
    ['decided', decide, 'vfs new'],
    [
      'decided, and the old one is gone',
      (root) => {
        decide(root);
        rmSync(join(root, 'rw'), { recursive: true });
      },
      'vfs new',
    ],
    [
      'in place, but the decision still stands',
      (root) => writeFileSync(join(root, 'rw.driver'), 'vfs\nrw.next\n'),
      'vfs old',
    ],
  ];
  for (const [name, leave, expected] of steps) {
    const { root, rw } = setUp(t);
    leave(root);
    const driver = await readRwDriver(rw);
    assert.equal(`${driver} ${readdirSync(rw).join()}`, expected, name);
    assert.equal(readFileSync(join(root, 'rw.driver'), 'utf8'), `${driver}\n`);
  }
});

function decide(root: string): void {
  mkdirSync(join(root, 'rw.next'));
  writeFileSync(join(root, 'rw.next/new'), '');
  writeFileSync(join(root, 'rw.driver'), 'vfs\nrw.next\n');
}

test('replaceRw() finishes an earlier replacement before it begins another, which may fail', async (t) => {
  const { root, rw } = setUp(t);
  decide(root);
  await assert.rejects(
    replaceRw(rw, 'overlay', () => Promise.reject(new Error('no more'))),
    { message: 'no more' },
  );
  assert.deepEqual(readdirSync(rw), ['new']);
  assert.equal(await readRwDriver(rw), 'vfs');
});

test('Filesystem finishes a replacement whatever it is asked for first', async (t) => {
  const layered = new Layered(t);
  const layers = [layered.layer((path) => writeFileSync(join(path, 'file'), 'content'))];
  const before = layered.filesystem(vfs, layers, 'container');
  await before.changes();
  const root = join(before.rwPath, '..');
  decide(root);
  rmSync(before.rwPath, { recursive: true });
  const after = layered.filesystem(vfs, layers, 'container');
  assert.deepEqual([...(await after.changes())], [{ kind: 'A', path: '/new' }]);
});

test('Filesystem loses nothing of rw where a conversion breaks off, and goes on with it the next time', async (t) => {
  const layered = new Layered(t);
  const layers = [layered.layer((path) => writeFileSync(join(path, 'file'), 'content'))];
  const filesystem = layered.filesystem(vfs, layers, 'container');
  const rw = join(filesystem.rootfs, '../rw');
  mkdirSync(join(rw, 'stuck'), { recursive: true }); // as an original left it
  for (const name of ['.wh.file', 'a', 'stuck/b', 'z']) writeFileSync(join(rw, name), name);
  execFileSync('chattr', ['+i', join(rw, 'stuck/b')]);
  try {
    await assert.rejects(filesystem.mount(), /stuck/);
    await assert.rejects(filesystem.mount(), /stuck/);
  } finally {
    execFileSync('chattr', ['-i', join(rw, 'stuck/b')]);
  }
  await filesystem.mount();
  assert.deepEqual(readdirSync(filesystem.rootfs).sort(), ['a', 'stuck', 'z']);
  assert.deepEqual(readdirSync(join(filesystem.rootfs, 'stuck')), ['b']);
  await filesystem.umount();
});

test('vfs: a copy that was not finished does not count, and is made anew', async (t) => {
  const layered = new Layered(t);
  const layer = layered.layer((path) => writeFileSync(join(path, 'file'), 'content'));
  const filesystem = layered.filesystem(vfs, [layer]);
  await filesystem.mount();
  await filesystem.umount();
  writeFileSync(join(filesystem.rootfs, 'left'), '');
  writeFileSync(join(filesystem.rootfs, '../vfs.manifest.next'), 'half');
  assert.equal(await filesystem.isMounted(), false);
  await filesystem.mount();
  assert.deepEqual(readdirSync(filesystem.rootfs), ['file']);
  assert.equal(existsSync(join(filesystem.rootfs, '../vfs.manifest.next')), false);
  await filesystem.umount();
  assert.deepEqual([...(await filesystem.changes())], []);
});

test('vfs: what was changed is still known to the next daemon, though this one never unmounted', async (t) => {
  const layered = new Layered(t);
  const layers = [layered.layer((path) => writeFileSync(join(path, 'file'), 'content'))];
  const before = layered.filesystem(vfs, layers, 'container');
  await before.mount();
  writeFileSync(join(before.rootfs, 'new'), '');
  const after = layered.filesystem(vfs, layers, 'container');
  assert.equal(await after.isMounted(), true);
  await after.umount();
  assert.deepEqual([...(await after.changes())], [{ kind: 'A', path: '/new' }]);
});
