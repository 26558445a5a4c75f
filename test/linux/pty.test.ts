// Pseudo terminals: raw, and raw whatever their users set.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, readSync, writeSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { openPeer, openRawPty, setWindowSize, type Pty } from '../../src/linux/pty.js';

function open(t: TestContext): Pty & { peer: number } {
  const pty = openRawPty();
  const peer = openPeer(pty.master);
  t.after(() => {
    closeSync(peer);
    closeSync(pty.master);
  });
  return { ...pty, peer };
}

function readFrom(fd: number): string {
  const buffer = Buffer.alloc(100);
  return buffer.toString('latin1', 0, readSync(fd, buffer));
}

function stty(path: string, ...args: string[]): string {
  return execFileSync('stty', ['-F', path, ...args], { encoding: 'utf8' });
}

test('openRawPty() passes bytes through untouched, both ways', (t) => {
  const { master, peer, path } = open(t);
  assert.match(path, /^\/dev\/pts\/\d+$/);
  writeSync(peer, 'a\nb\r\x04');
  assert.equal(readFrom(master), 'a\nb\r\x04');
  writeSync(master, 'typed\r\x03\x04');
  assert.equal(readFrom(peer), 'typed\r\x03\x04');
  assert.throws(() => readFrom(master), { code: 'EAGAIN' }, 'nothing is echoed, and to read does not wait');
});

test('openRawPty() stays raw when its user switches output processing, echo and line editing on', (t) => {
  const { master, peer, path } = open(t);
  spawnSync('stty', ['-F', path, 'sane'], { stdio: 'ignore' }); // it notices that it cannot
  assert.match(stty(path, '-a'), /-opost/);
  assert.match(stty(path, '-a'), /-icanon/);
  writeSync(peer, 'a\n');
  assert.equal(readFrom(master), 'a\n');
});

test('setWindowSize() tells the terminal its size', (t) => {
  const { master, path } = open(t);
  setWindowSize(master, { rows: 33, cols: 144 });
  assert.equal(stty(path, 'size'), '33 144\n');
});

test('setWindowSize() fails for what is no terminal, with the size', (t) => {
  const { master } = open(t);
  assert.ok(master > 0);
  assert.throws(() => setWindowSize(-1, { rows: 1, cols: 2 }), { code: 'EBADF', syscall: 'ioctl', data: '1x2' });
});
