// The standard input of a program that gets none.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { openNull } from '../../src/container/null-device.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('openNull() opens a null device that is not the one of the machine, and leaves no name', (t) => {
  const folder = temporaryFolder(t);
  const fd = openNull(folder);
  try {
    assert.equal(readSync(fd, Buffer.alloc(1)), 0);
    const [own, machine] = [fstatSync(fd), statSync('/dev/null')];
    assert.ok(own.isCharacterDevice());
    assert.equal(own.rdev, machine.rdev);
    assert.notEqual(`${own.dev}:${own.ino}`, `${machine.dev}:${machine.ino}`);
    assert.equal(own.mode & 0o777, 0o666);
    assert.deepEqual(readdirSync(folder), []);
    // A program opens it again by its name, /dev/stdin.
    assert.equal(readFileSync(`/proc/self/fd/${fd}`).length, 0);
  } finally {
    closeSync(fd);
  }
});

test('openNull() opens a pipe at its end where devices cannot be opened', (t) => {
  const folder = join(temporaryFolder(t), 'nodev');
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'nodev,size=64k', 'tmpfs', folder]);
  try {
    const fd = openNull(folder);
    assert.ok(fstatSync(fd).isFIFO());
    assert.equal(readSync(fd, Buffer.alloc(1)), 0);
    closeSync(fd);
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    execFileSync('umount', [folder]);
  }
});
