// One daemon a data directory.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { lockDataDirectory } from '../../src/server/data-directory.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('lockDataDirectory() makes the directory for its owner alone, and names its folders', async (t) => {
  const root = join(temporaryFolder(t), 'a', 'b');
  assert.deepEqual(await lockDataDirectory(root), {
    root,
    images: join(root, 'images'),
    containers: join(root, 'containers'),
    network: join(root, 'network.json'),
  });
  assert.equal(statSync(root).mode & 0o777, 0o700);
  assert.equal(readFileSync(join(root, 'tsdock.lock'), 'utf8'), `${process.pid}\n`);
});

test('lockDataDirectory() names the folders without symbolic links, as the kernel does', async (t) => {
  const folder = realpathSync(temporaryFolder(t));
  mkdirSync(join(folder, 'real'));
  symlinkSync('real', join(folder, 'link'));
  assert.equal((await lockDataDirectory(join(folder, 'link'))).containers, join(folder, 'real', 'containers'));
});

test('lockDataDirectory() writes its pid over that of a daemon that has ended', async (t) => {
  const root = temporaryFolder(t);
  writeFileSync(join(root, 'tsdock.lock'), '123456789\n');
  await lockDataDirectory(root);
  assert.equal(readFileSync(join(root, 'tsdock.lock'), 'utf8'), `${process.pid}\n`);
});

test('lockDataDirectory() names what is no folder, and what is no file in the place of its lock', async (t) => {
  const root = realpathSync(temporaryFolder(t));
  const file = join(root, 'file');
  writeFileSync(file, 'untouched\n');
  for (const path of [file, join(file, 'below')])
    await assert.rejects(lockDataDirectory(path), {
      message: `Cannot use the data directory "${path}": it is no folder, or not in one; choose another one with -g`,
    });
  const lock = join(root, 'tsdock.lock');
  symlinkSync(file, lock);
  await assert.rejects(lockDataDirectory(root), {
    message: `Cannot lock the data directory ${root}: ${lock} is a symbolic link, and no file; take it away`,
  });
  assert.equal(readFileSync(file, 'utf8'), 'untouched\n');
});

test('lockDataDirectory() refuses a directory that is locked in this process', async (t) => {
  const root = temporaryFolder(t);
  await lockDataDirectory(root);
  await assert.rejects(lockDataDirectory(root), /is in use by process/);
});

test('lockDataDirectory() names the process that has the lock, and is free when that ends', async (t) => {
  const root = temporaryFolder(t);
  const path = join(root, 'tsdock.lock');
  writeFileSync(path, '4321\n');
  const other = spawn('flock', [path, 'sh', '-c', 'echo locked; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => other.kill('SIGKILL'));
  await once(other.stdout, 'data');
  await assert.rejects(lockDataDirectory(root), {
    message: `The data directory ${root} is in use by process 4321: stop that daemon, or choose another directory with -g`,
  });
  assert.equal(readFileSync(path, 'utf8'), '4321\n', 'what the owner wrote stays');
  other.stdin.end();
  await once(other, 'close');
  await lockDataDirectory(root);
});
