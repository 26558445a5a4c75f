// The one order of a tree, and how deletions are read in each form.

import assert from 'node:assert/strict';
import { closeSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { walkSteps, walkTree, type TreeForm } from '../../src/archive/walk-tree.js';
import { AT_FDCWD, mknodat, nativeName } from '../../src/linux/at.js';
import { lsetxattrAt } from '../../src/linux/xattr.js';
import { temporaryFolder } from './tar-builder.js';

const S_IFCHR = 0o020000;

function walked(root: string, form: TreeForm, skips?: (path: string) => boolean): string[] {
  return [...walkTree(root, form, skips)].map(({ kind, path, depth }) => `${depth} ${kind} ${path}`);
}

function tree(t: TestContext): string {
  const root = temporaryFolder(t);
  for (const name of ['a', 'a/z', 'd']) mkdirSync(join(root, name));
  for (const name of ['a b', 'a.', 'B', 'a/file', 'd/.wh.gone', 'd/.wh..wh..opq', 'd/kept', '.wh..wh.aufs', '.wh.b']) {
    writeFileSync(join(root, name), '');
  }
  return root;
}

test('walkTree() goes depth first, names by their bytes; `plain` takes every name as it is', (t) => {
  assert.deepEqual(walked(tree(t), 'plain'), [
    '0 directory ', '0 file .wh..wh.aufs', '0 file .wh.b', '0 file B', '0 directory a', '1 file a/file', '1 directory a/z',
    '0 file a b', '0 file a.', '0 directory d', '1 file d/.wh..wh..opq', '1 file d/.wh.gone', '1 file d/kept',
  ]); // prettier-ignore
});

test('walkSteps() stops at each directory that it leaves, also where no entry is on the way up', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'a/b/c'), { recursive: true });
  writeFileSync(join(root, 'z'), '');
  assert.deepEqual(
    [...walkSteps(root, 'plain')].map((entry) => entry?.path),
    ['', 'a', 'a/b', 'a/b/c', undefined, undefined, undefined, 'z', undefined],
  );
});

test('walkTree() reads deletions by name in the form of aufs, and drops the bookkeeping', (t) => {
  assert.deepEqual(walked(tree(t), 'aufs', (path) => path === 'a'), [
    '0 directory ', '0 whiteout b', '0 file B', '0 file a b', '0 file a.', '0 directory d', '1 opaque d', '1 whiteout d/gone',
    '1 file d/kept',
  ]); // prettier-ignore
});

test('walkTree() reads devices and attributes in the form of overlay, in the same places', (t) => {
  const root = temporaryFolder(t);
  mkdirSync(join(root, 'd'));
  writeFileSync(join(root, 'd/kept'), '');
  writeFileSync(join(root, '.wh.real'), '');
  mknodat(AT_FDCWD, nativeName(join(root, 'zzz')), S_IFCHR);
  mknodat(AT_FDCWD, nativeName(join(root, 'd/gone')), S_IFCHR);
  mknodat(AT_FDCWD, nativeName(join(root, 'null')), S_IFCHR | 0o666, 1, 3);
  const fd = openSync(root, 'r');
  lsetxattrAt(fd, nativeName('d'), Buffer.from('trusted.overlay.opaque'), Buffer.from('y'));
  closeSync(fd);
  assert.deepEqual(walked(root, 'overlay'), [
    '0 directory ', '0 file .wh.real', '0 whiteout zzz', '0 directory d', '1 opaque d', '1 whiteout d/gone', '1 file d/kept',
    '0 character null',
  ]); // prettier-ignore
});

test('walkTree() leaves out what vanishes before it comes to it', (t) => {
  const root = tree(t);
  const seen: string[] = [];
  for (const { path } of walkTree(root, 'plain')) {
    if (path === 'a') rmSync(join(root, 'a'), { recursive: true });
    seen.push(path);
  }
  assert.ok(!seen.includes('a/file'));
  assert.ok(seen.includes('d/kept'));
});
