// Removing whole trees: however deep, whatever their names, nothing beside them, and in words where it fails.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import * as at from '../../src/linux/at.js';
import { DirectoryStack } from '../../src/linux/directory-stack.js';
import { removeTree } from '../../src/linux/remove-tree.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const openDescriptors = (): number => readdirSync('/proc/self/fd').length;

/** Makes `depth` folders, each in the one before, with a file in each. */
function makeDeep(root: string, depth: number): void {
  mkdirSync(root);
  const stack = new DirectoryStack(root);
  const name = at.nativeName('nested');
  for (let i = 0; i < depth; i++) {
    closeSync(openSync(`/proc/self/fd/${stack.fd}/file`, 'w'));
    at.mkdirat(stack.fd, name, 0o700);
    stack.enter(name);
  }
  stack.close();
}

test('removeTree() removes files, folders, links, fifos, and names that are no UTF-8', async (t) => {
  const folder = temporaryFolder(t);
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'a/b/c'), { recursive: true });
  mkdirSync(join(tree, 'empty'));
  writeFileSync(join(tree, 'a/b/file'), 'x', { mode: 0 });
  symlinkSync('b', join(tree, 'a/link'));
  execFileSync('mkfifo', [join(tree, 'fifo')]);
  const odd = Buffer.concat([Buffer.from(`${tree}/`), Buffer.of(0xff, 0x0a, 0x22)]);
  mkdirSync(odd);
  writeFileSync(Buffer.concat([odd, Buffer.from('/'), Buffer.alloc(255, 0xfe)]), '');
  await removeTree(tree);
  assert.deepEqual(readdirSync(folder), []);
});

test('removeTree() of nothing, of a file and of a link does no more than that', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'kept'));
  symlinkSync('kept', join(folder, 'link'));
  writeFileSync(join(folder, 'file'), '');
  for (const name of ['nothing', 'file', 'link']) await removeTree(join(folder, name));
  assert.deepEqual(readdirSync(folder), ['kept']);
});

test('removeTree() follows no link out of the tree', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'outside/deep'), { recursive: true });
  writeFileSync(join(folder, 'outside/deep/file'), 'still here');
  mkdirSync(join(folder, 'tree/sub'), { recursive: true });
  symlinkSync('../outside', join(folder, 'tree/link'));
  symlinkSync(join(folder, 'outside/deep/file'), join(folder, 'tree/sub/link'));
  await removeTree(join(folder, 'tree'));
  assert.deepEqual(readdirSync(folder), ['outside']);
  assert.equal(readFileSync(join(folder, 'outside/deep/file'), 'utf8'), 'still here');
});

test('removeTree() removes 10,000 nested folders with few descriptors', async (t) => {
  const tree = join(temporaryFolder(t), 'tree');
  makeDeep(tree, 10_000);
  const before = openDescriptors();
  let most = 0;
  const watch = setInterval(() => (most = Math.max(most, openDescriptors())), 20);
  await removeTree(tree);
  clearInterval(watch);
  assert.ok(!existsSync(tree));
  assert.ok(most - before < 50, `${most - before} descriptors`);
  assert.equal(openDescriptors(), before);
});

test('removeTree() lets the event loop go on', async (t) => {
  const tree = join(temporaryFolder(t), 'tree');
  mkdirSync(tree);
  for (let i = 0; i < 20_000; i++) closeSync(openSync(join(tree, `file-${i}`), 'w'));
  let turns = 0;
  const watch = setInterval(() => turns++, 1);
  await removeTree(tree);
  clearInterval(watch);
  assert.ok(turns > 20, `${turns} turns`);
  assert.ok(!existsSync(tree));
});

test('removeTree() says which file cannot be removed, and leaves no descriptor', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'tree/sub/immutable');
  mkdirSync(join(folder, 'tree/sub'), { recursive: true });
  writeFileSync(file, '');
  try {
    execFileSync('chattr', ['+i', file], { stdio: 'pipe' });
  } catch {
    t.skip('the file system knows no immutable files');
    return;
  }
  const before = openDescriptors();
  await assert.rejects(removeTree(join(folder, 'tree')), {
    message: `Cannot remove "${file}": EPERM: operation not permitted`,
  });
  assert.equal(openDescriptors(), before);
  execFileSync('chattr', ['-i', file]);
  await removeTree(join(folder, 'tree'));
  assert.deepEqual(readdirSync(folder), []);
});

test('removeTree() stops at a mount, and leaves what is in it', async (t) => {
  const folder = temporaryFolder(t);
  const mounted = join(folder, 'tree/mounted');
  mkdirSync(mounted, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'none', mounted]);
  try {
    writeFileSync(join(mounted, 'file'), 'still here');
    await assert.rejects(removeTree(join(folder, 'tree')), {
      message: `Cannot remove "${mounted}": something is mounted there`,
    });
    assert.equal(readFileSync(join(mounted, 'file'), 'utf8'), 'still here');
  } finally {
    execFileSync('umount', [mounted]);
  }
  rmdirSync(mounted);
});
