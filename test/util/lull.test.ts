// A lull: nothing is waited for where nobody comes, and not for ever where somebody always does.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { lull, noteArrival } from '../../src/util/lull.js';

/** Somebody comes in each turn of the loop, as often as that. */
async function come(times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    noteArrival();
    await nextTurn();
  }
}

test('lull() resolves within some turns of the loop where nobody comes', async () => {
  const order: string[] = [];
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 4; turn++) await nextTurn();
  };
  await Promise.all([turns().then(() => order.push('four turns')), lull().then(() => order.push('lull'))]);
  assert.deepEqual(order, ['lull', 'four turns']);
});

test('lull() waits until those who come have come', async (t) => {
  t.mock.method(performance, 'now', () => 0); // however slow the machine is: it does not wait for ever, see below
  const order: string[] = [];
  await Promise.all([come(50).then(() => order.push('all have come')), lull().then(() => order.push('lull'))]);
  assert.deepEqual(order, ['all have come', 'lull']);
});

test('lull() does not wait for ever', async () => {
  const end = new AbortController();
  const always = async (): Promise<void> => {
    while (!end.signal.aborted) await come(1);
  };
  const startedAt = performance.now();
  await Promise.all([always(), lull().then(() => end.abort())]);
  assert.ok(performance.now() - startedAt >= 150, 'it waited');
});
