// FIFOs, splice, locks and flags of open files.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { tryLock } from '../../src/linux/fcntl.js';
import { mkfifo, setPipeSize, spliceFromTerminal, spliceToFile } from '../../src/linux/pipe.js';
import { openPeer, openRawPty } from '../../src/linux/pty.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK, O_CREAT } = constants;

/** Opens a file that is closed after the test. */
function open(t: TestContext, path: string, flags: number): number {
  const fd = openSync(path, flags, 0o600);
  t.after(() => closeSync(fd));
  return fd;
}

test('mkfifo() makes a FIFO, and fails with EEXIST where the name is taken', (t) => {
  const path = join(temporaryFolder(t), 'fifo');
  mkfifo(path, 0o600);
  assert.ok(statSync(path).isFIFO());
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.throws(() => mkfifo(path, 0o600), { code: 'EEXIST', syscall: 'mkfifo', path });
});

test('spliceToFile() moves bytes to a place in a file: -1 where none are there, 0 at the end', async (t) => {
  const folder = temporaryFolder(t);
  mkfifo(join(folder, 'fifo'), 0o600);
  const reading = open(t, join(folder, 'fifo'), O_RDONLY | O_NONBLOCK);
  const writing = openSync(join(folder, 'fifo'), O_WRONLY);
  const file = open(t, join(folder, 'file'), O_RDWR | O_CREAT);
  assert.equal(await spliceToFile(reading, file, 0, 100), -1);
  writeSync(writing, 'abcdef');
  assert.equal(await spliceToFile(reading, file, 2, 4), 4);
  assert.equal(await spliceToFile(reading, file, 6, 100), 2);
  closeSync(writing);
  assert.equal(await spliceToFile(reading, file, 8, 100), 0);
  assert.equal(readFileSync(join(folder, 'file'), 'latin1'), '\0\0abcdef');
});

test('spliceToFile() rejects where the file cannot be written', async (t) => {
  const folder = temporaryFolder(t);
  mkfifo(join(folder, 'fifo'), 0o600);
  const both = open(t, join(folder, 'fifo'), O_RDWR | O_NONBLOCK);
  writeSync(both, 'x');
  const full = open(t, '/dev/null', O_RDONLY);
  await assert.rejects(spliceToFile(both, full, 0, 10), { code: 'EBADF', syscall: 'splice' });
});

test('setPipeSize() lets a writer get ahead, and takes what the machine allows', (t) => {
  const folder = temporaryFolder(t);
  mkfifo(join(folder, 'fifo'), 0o600);
  const both = open(t, join(folder, 'fifo'), O_RDWR | O_NONBLOCK);
  setPipeSize(both, 1024 * 1024);
  assert.equal(writeSync(both, Buffer.alloc(200_000)), 200_000);
  setPipeSize(both, 4096); // EBUSY: it holds more than that
  assert.throws(() => setPipeSize(open(t, '/dev/null', O_RDONLY), 4096), { code: 'EBADF' });
});

test('spliceFromTerminal() moves what was printed: -1 where nothing is there, 0 after a hang-up', (t) => {
  const folder = temporaryFolder(t);
  mkfifo(join(folder, 'fifo'), 0o600);
  const fifo = open(t, join(folder, 'fifo'), O_RDWR | O_NONBLOCK);
  const { master } = openRawPty();
  t.after(() => closeSync(master));
  const peer = openPeer(master);
  assert.equal(spliceFromTerminal(master, fifo, 100), -1);
  writeSync(peer, 'out\n');
  assert.equal(spliceFromTerminal(master, fifo, 100), 4);
  const buffer = Buffer.alloc(10);
  assert.equal(buffer.toString('utf8', 0, readSync(fifo, buffer)), 'out\n');
  closeSync(peer);
  assert.equal(spliceFromTerminal(master, fifo, 100), 0);
});

test('tryLock() gives a file to one open description, until it is closed', (t) => {
  const path = join(temporaryFolder(t), 'lock');
  const first = openSync(path, O_RDWR | O_CREAT, 0o600);
  const second = open(t, path, O_RDWR);
  assert.equal(tryLock(first), true);
  assert.equal(tryLock(first), true, 'who has it keeps it');
  assert.equal(tryLock(second), false);
  closeSync(first);
  assert.equal(tryLock(second), true);
});

test('tryLock() sees the lock of another process, and that it ends with it', async (t) => {
  const path = join(temporaryFolder(t), 'lock');
  const fd = open(t, path, O_RDWR | O_CREAT);
  const other = spawn('flock', [path, 'sh', '-c', 'echo locked; exec cat'], { stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => other.kill('SIGKILL'));
  await once(other.stdout, 'data');
  assert.equal(tryLock(fd), false);
  other.stdin.end();
  await once(other, 'close');
  assert.equal(tryLock(fd), true);
});
