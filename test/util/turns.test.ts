// Turns: no more at once than allowed, in order, and none is lost by an error.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Turns } from '../../src/util/turns.js';

test('Turns.take() lets so many go at once, and the others in the order in which they came', async () => {
  const turns = new Turns(2);
  const order: number[] = [];
  let underWay = 0;
  let most = 0;
  const done = Array.from({ length: 10 }, (_, i) =>
    turns.take(async () => {
      order.push(i);
      most = Math.max(most, ++underWay);
      await nextTurn();
      underWay--;
      return i;
    }),
  );
  assert.deepEqual(await Promise.all(done), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal(most, 2);
});

test('Turns.take() gives the turn on where the work fails, and tells the error', async () => {
  const turns = new Turns(1);
  const failed = turns.take(() => Promise.reject(new Error('no')));
  const next = turns.take(async () => 'next');
  await assert.rejects(failed, { message: 'no' });
  assert.equal(await next, 'next');
  assert.equal(await turns.take(async () => 'last'), 'last');
});
