// What a container changed, on each driver: the same list, whether it is mounted still or not.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import type { Change } from '../../src/filesystem/changes.js';
import { mkdirat, nativeName } from '../../src/linux/at.js';
import { DirectoryStack } from '../../src/linux/directory-stack.js';
import { lsetxattrAt } from '../../src/linux/xattr.js';
import { Layered, TESTED_DRIVERS } from './layered.js';

const OLD = new Date('2012-12-12T00:00:00Z');
/** So many folders in each other make a path that is longer than the kernel takes at once, 4,096 bytes. */
const DEPTH = 2_500;

/** Fills the bottom layer. */
function fillBottom(path: string): void {
  fs.mkdirSync(join(path, 'data/dir/sub'), { recursive: true });
  fs.mkdirSync(join(path, 'data/full'));
  for (const name of [
    'one',
    'two',
    'three',
    'dir/a',
    'dir/b',
    'dir/sub/deep',
    'full/x',
    '.hidden',
    'www',
    'hidden-below',
  ]) {
    fs.writeFileSync(join(path, 'data', name), `${name}\n`);
  }
  fs.linkSync(join(path, 'data/two'), join(path, 'data/two-again'));
  fs.symlinkSync('one', join(path, 'data/link'));
  fs.mkdirSync(join(path, 'tmp'));
  execFileSync('find', [path, '-exec', 'touch', '-h', '-d', OLD.toISOString(), '{}', '+']);
}

/** Fills the layer above it: it deletes, and it replaces. */
function fillTop(path: string): void {
  fs.mkdirSync(join(path, 'data/full'), { recursive: true });
  fs.writeFileSync(join(path, 'data/.wh.hidden-below'), '');
  fs.writeFileSync(join(path, 'data/full/.wh..wh..opq'), '');
  fs.writeFileSync(join(path, 'data/full/y'), 'y\n');
  execFileSync('find', [path, '-exec', 'touch', '-h', '-d', OLD.toISOString(), '{}', '+']);
}

interface Case {
  name: string;
  /** what is done in the container's tree */
  act: (root: string) => void;
  expected: string[];
}

const CASES: readonly Case[] = [
  { name: 'nothing', act: () => undefined, expected: [] },
  {
    name: 'an added file, and one whose name begins with a dot',
    act: (root) => ['new', '.rc'].forEach((name) => fs.writeFileSync(join(root, 'data', name), '')),
    expected: ['C /data', 'A /data/.rc', 'A /data/new'],
  },
  {
    name: 'an added directory with what is in it',
    act: (root) => {
      fs.mkdirSync(join(root, 'data/nd/sub'), { recursive: true });
      fs.writeFileSync(join(root, 'data/nd/sub/g'), '');
    },
    expected: ['C /data', 'A /data/nd', 'A /data/nd/sub', 'A /data/nd/sub/g'],
  },
  {
    name: 'a modified file',
    act: (root) => fs.appendFileSync(join(root, 'data/one'), 'y'),
    expected: ['C /data', 'C /data/one'],
  },
  {
    name: 'a deleted file and a deleted dot file',
    act: (root) => ['two', '.hidden', 'www'].forEach((name) => fs.unlinkSync(join(root, 'data', name))),
    expected: ['C /data', 'D /data/.hidden', 'D /data/two', 'D /data/www'],
  },
  {
    name: 'a deleted directory: one line',
    act: (root) => fs.rmSync(join(root, 'data/dir'), { recursive: true }),
    expected: ['C /data', 'D /data/dir'],
  },
  {
    name: 'a directory replaced by a file',
    act: (root) => {
      fs.rmSync(join(root, 'data/dir'), { recursive: true });
      fs.writeFileSync(join(root, 'data/dir'), '');
    },
    expected: ['C /data', 'C /data/dir'],
  },
  {
    name: 'a file replaced by a directory',
    act: (root) => {
      fs.unlinkSync(join(root, 'data/one'));
      fs.mkdirSync(join(root, 'data/one'));
      fs.writeFileSync(join(root, 'data/one/x'), '');
    },
    expected: ['C /data', 'C /data/one', 'A /data/one/x'],
  },
  {
    name: 'a directory deleted and made again, with one of its names',
    act: (root) => {
      fs.rmSync(join(root, 'data/dir'), { recursive: true });
      fs.mkdirSync(join(root, 'data/dir'));
      fs.writeFileSync(join(root, 'data/dir/a'), '');
      fs.writeFileSync(join(root, 'data/dir/new'), '');
    },
    expected: ['C /data', 'C /data/dir', 'C /data/dir/a', 'A /data/dir/new'],
  },
  {
    name: 'only the mode',
    act: (root) => fs.chmodSync(join(root, 'data/one'), 0o600),
    expected: ['C /data', 'C /data/one'],
  },
  {
    name: 'only the owner',
    act: (root) => fs.chownSync(join(root, 'data/one'), 1, 2),
    expected: ['C /data', 'C /data/one'],
  },
  {
    name: 'only the time, of a file and of a directory',
    act: (root) => ['one', 'dir'].forEach((name) => fs.utimesSync(join(root, 'data', name), OLD, new Date())),
    expected: ['C /data', 'C /data/dir', 'C /data/one'],
  },
  {
    name: 'only an extended attribute',
    act: (root) => {
      const fd = fs.openSync(join(root, 'data'), 'r');
      lsetxattrAt(fd, Buffer.from('one\0'), Buffer.from('user.a'), Buffer.from('b'));
      fs.closeSync(fd);
    },
    expected: ['C /data', 'C /data/one'],
  },
  {
    name: 'the content, with size and time as before',
    act: (root) => {
      fs.writeFileSync(join(root, 'data/one'), 'eno\n');
      fs.utimesSync(join(root, 'data/one'), OLD, OLD);
    },
    expected: ['C /data', 'C /data/one'],
  },
  {
    name: 'a second name for a file',
    act: (root) => fs.linkSync(join(root, 'data/one'), join(root, 'data/uno')),
    expected: ['C /data', 'C /data/one', 'A /data/uno'],
  },
  {
    name: 'one of two names of a file taken away: the other one is as it was',
    act: (root) => fs.unlinkSync(join(root, 'data/two-again')),
    expected: ['C /data', 'D /data/two-again'],
  },
  {
    name: 'a renamed file',
    act: (root) => fs.renameSync(join(root, 'data/one'), join(root, 'data/uno')),
    expected: ['C /data', 'D /data/one', 'A /data/uno'],
  },
  {
    name: 'a directory of a layer, renamed',
    act: (root) => execFileSync('mv', [join(root, 'data/dir'), join(root, 'data/moved')]), // mv copies where it must
    expected: [
      'C /data', 'D /data/dir', 'A /data/moved', 'A /data/moved/a', 'A /data/moved/b', 'A /data/moved/sub',
      'A /data/moved/sub/deep',
    ], // prettier-ignore
  },
  {
    name: 'a symbolic link changed',
    act: (root) => {
      fs.unlinkSync(join(root, 'data/link'));
      fs.symlinkSync('two', join(root, 'data/link'));
    },
    expected: ['C /data', 'C /data/link'],
  },
  {
    name: 'a file made and deleted again: its directory was touched',
    act: (root) => {
      fs.writeFileSync(join(root, 'tmp/t'), '');
      fs.unlinkSync(join(root, 'tmp/t'));
    },
    expected: ['C /tmp'],
  },
  {
    name: 'what a layer between deleted is new',
    act: (root) => fs.writeFileSync(join(root, 'data/hidden-below'), ''),
    expected: ['C /data', 'A /data/hidden-below'],
  },
  {
    name: 'what an opaque directory of a layer hid is new, what it has is changed',
    act: (root) => ['x', 'y'].forEach((name) => fs.writeFileSync(join(root, 'data/full', name), 'z')),
    expected: ['C /data', 'C /data/full', 'A /data/full/x', 'C /data/full/y'],
  },
  {
    name: 'a real name that begins as a deletion does',
    act: (root) => ['.wh.one', '.wh..wh..opq'].forEach((name) => fs.writeFileSync(join(root, 'data', name), '')),
    expected: ['C /data', 'A /data/.wh..wh..opq', 'A /data/.wh.one'],
  },
  {
    name: 'mount points that LXC made, but not what was put into one',
    act: (root) => {
      ['dev', 'proc', 'sys'].forEach((name) => fs.mkdirSync(join(root, name)));
      fs.writeFileSync(join(root, 'dev/x'), '');
    },
    expected: ['A /dev', 'A /dev/x'],
  },
];

/** Directories named d, one in the other. */
function makeDeep(root: string, depth: number): void {
  const name = nativeName('d');
  const stack = new DirectoryStack(root);
  for (let i = 0; i < depth; i++) {
    mkdirat(stack.fd, name, 0o755);
    stack.enter(name);
  }
  stack.close();
}

const lines = (changes: readonly Change[]): string[] => changes.map(({ kind, path }) => `${kind} ${path}`);

for (const driver of TESTED_DRIVERS) {
  for (const { name, act, expected } of CASES) {
    test(`Filesystem.changes() on ${driver.name}: ${name}`, async (t) => {
      const layered = new Layered(t);
      const bottom = layered.layer(fillBottom);
      const filesystem = layered.filesystem(driver, [layered.layer(fillTop), bottom]);
      await filesystem.mount();
      act(filesystem.rootfs);
      assert.deepEqual(lines([...(await filesystem.changes())]), expected, 'while it is mounted');
      await filesystem.umount();
      assert.deepEqual(lines([...(await filesystem.changes())]), expected, 'after that');
      await filesystem.mount();
      assert.deepEqual(lines([...(await filesystem.changes())]), expected, 'mounted again');
      await filesystem.umount();
      assert.deepEqual(lines([...(await filesystem.changes())]), expected, 'and after that');
    });
  }

  test(`Filesystem.changes() on ${driver.name}: names are bytes, in their order`, async (t) => {
    const layered = new Layered(t);
    const filesystem = layered.filesystem(driver, [layered.layer(fillBottom)]);
    await filesystem.mount();
    const names = ['a b', 'a\nb', 'a"b\'', 'a\xff\xfe', 'a/z', 'a.', 'b'.repeat(255)];
    fs.mkdirSync(join(filesystem.rootfs, 'data/a'));
    for (const name of names) fs.writeFileSync(Buffer.from(`${filesystem.rootfs}/data/${name}`, 'latin1'), '');
    const sorted = ['a', 'a/z', 'a\nb', 'a b', 'a"b\'', 'a.', 'a\xff\xfe', 'b'.repeat(255)];
    assert.deepEqual(lines([...(await filesystem.changes())]), ['C /data', ...sorted.map((name) => `A /data/${name}`)]);
    for (const name of names) fs.unlinkSync(Buffer.from(`${filesystem.rootfs}/data/${name}`, 'latin1'));
    await filesystem.umount();
  });

  test(`Filesystem.changes() on ${driver.name}: a tree deeper than any path`, async (t) => {
    const layered = new Layered(t);
    const filesystem = layered.filesystem(driver, [layered.layer(fillBottom)]);
    await filesystem.mount();
    makeDeep(filesystem.rootfs, DEPTH);
    const changes = [...(await filesystem.changes())];
    assert.equal(changes.length, DEPTH);
    assert.equal(changes.at(-1)?.path.length, 2 * DEPTH);
    await filesystem.umount();
    assert.deepEqual(lines([...(await filesystem.changes())]), lines(changes));
    await filesystem.reset();
    assert.deepEqual([...(await filesystem.changes())], []);
  });
}

test('Filesystem.changes() reads what an original left in rw, without the bookkeeping of aufs', async (t) => {
  const layered = new Layered(t);
  const [driver] = TESTED_DRIVERS;
  assert.ok(driver);
  const filesystem = layered.filesystem(driver, [layered.layer(fillBottom)]);
  for (const name of [
    '.wh..wh.aufs',
    '.wh..wh.plnk/1.2',
    '.wh..wh.orph/x',
    'data/dir/.wh..wh..opq',
    'data/dir/new',
    'data/.wh.one',
  ]) {
    fs.mkdirSync(join(filesystem.rwPath, name, '..'), { recursive: true });
    fs.writeFileSync(join(filesystem.rwPath, name), '');
  }
  const expected = ['C /data', 'D /data/one', 'C /data/dir', 'A /data/dir/new'];
  assert.deepEqual(lines([...(await filesystem.changes())]), expected);
  await filesystem.mount();
  assert.deepEqual(fs.readdirSync(join(filesystem.rootfs, 'data/dir')), ['new']);
  assert.equal(fs.existsSync(join(filesystem.rootfs, 'data/one')), false);
  await filesystem.umount();
  assert.deepEqual(lines([...(await filesystem.changes())]), expected);
});
