// How many files may be open, and what becomes of who finds none left: in a process of its own with a low limit.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { FilesForConnections, openFilesLimit } from '../../src/linux/open-files.js';

const EXHAUSTED = fileURLToPath(new URL('exhaust-files.js', import.meta.url));

test('openFilesLimit() is what the kernel says', () => {
  const { stdout } = spawnSync('sh', ['-c', 'ulimit -Hn']);
  assert.equal(String(openFilesLimit()), stdout.toString().trim(), 'node has raised it as far as it may');
  assert.equal(new FilesForConnections(openFilesLimit()).take(), true);
});

test('FilesForConnections.take(), checkFilesForStart() and onceFilesAreLeft() heed the last open files', () => {
  const { stdout, stderr, status } = spawnSync('prlimit', ['--nofile=200:200', process.execPath, EXHAUSTED]);
  assert.equal(status, 0, stderr.toString());
  const { limit, noStartAt, noConnectionAt, error, waited } = JSON.parse(stdout.toString()) as Record<string, unknown>; // what it prints
  assert.equal(limit, 200);
  assert.equal(noStartAt, 150, 'a quarter is kept from starts');
  assert.equal(noConnectionAt, 175, 'an eighth is kept from connections');
  assert.match(
    String(error),
    /^Cannot start: too many open files; the daemon may have 200 \(ulimit -n\), and keeps the last/,
  );
  assert.deepEqual(waited, ['failed with EMFILE', 'opened']);
});

test('FilesForConnections.take() does not look for each of many', (t) => {
  const open = t.mock.method(fs, 'openSync');
  syncBuiltinESMExports();
  t.after(() => syncBuiltinESMExports());
  const connections = new FilesForConnections(1_000_000);
  t.after(() => open.mock.restore());
  for (let i = 0; i < 1_000; i++) assert.equal(connections.take(), true);
  assert.ok(open.mock.callCount() >= 1 && open.mock.callCount() < 500, `${open.mock.callCount()} looks`);
});
