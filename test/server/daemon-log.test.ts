// How many writes the lines of the daemon's log take, and when they come.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { openDaemonLog } from '../../src/server/daemon-log.js';

test('openDaemonLog() writes a line at once, and what comes right after it together', async (t) => {
  const writes: string[] = [];
  const write = t.mock.method(process.stderr, 'write', (text: string) => writes.push(text) > 0);
  const log = openDaemonLog();
  log('first');
  log('of the same turn');
  await nextTurn();
  assert.match(writes.join('|'), /^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d first\n[^|]* of the same turn\n$/);
  for (let i = 0; i < 100; i++) {
    log(`line ${i}`);
    await nextTurn();
  }
  const last = (): string => writes.at(-1)?.trim().split(' ').slice(2).join(' ') ?? '';
  const deadline = performance.now() + 5_000;
  while (!last().endsWith('line 99') && performance.now() < deadline) await sleep(1);
  write.mock.restore();
  const lines = writes.join('').trim().split('\n');
  assert.deepEqual(
    lines.slice(2).map((line) => line.split(' ').slice(2).join(' ')),
    Array.from({ length: 100 }, (_, i) => `line ${i}`),
    'every line once, in order',
  );
  assert.ok(writes.length < 50, `${writes.length} writes`);
});
