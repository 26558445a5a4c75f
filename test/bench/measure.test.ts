// The measuring itself: medians, sides in turn, bounds.

import test from 'node:test';
import assert from 'node:assert/strict';
import { duration, figuresInTurn, median, verdictsOf } from './measure.js';

test('median() is the middle one, whatever their order', () => {
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([100, 1, 3, 2]), 3);
  assert.ok(Number.isNaN(median([])));
});

test('figuresInTurn() runs the sides in turn, each first every second time, and passes over one that is missing', async () => {
  const order: string[] = [];
  const side = (name: string, figures: number[]) => (run: number) => {
    order.push(`${name}${run}`);
    return Promise.resolve(figures[run] ?? NaN);
  };
  const sides: Partial<Record<'a' | 'b' | 'c', (run: number) => Promise<number>>> = {
    a: side('a', [1, 7, 3]),
    b: side('b', [20, 20, 90]),
  };
  assert.deepEqual(await figuresInTurn(sides, 3), { a: 3, b: 20 });
  assert.deepEqual(order, ['a0', 'b0', 'b1', 'a1', 'a2', 'b2']);
});

test('duration() waits for the end of what it measures', async () => {
  const took = await duration(() => new Promise((resolve) => setTimeout(resolve, 20)));
  assert.ok(took >= 19, `${took} ms`);
});

test('verdictsOf() divides ours by theirs and holds it against bound and ambition', () => {
  const row = { what: '', unit: 'ms' as const, ours: 15, beside: { bare: 10, docker: undefined } };
  const [verdict, ...others] = verdictsOf({
    ...row,
    against: [
      { to: 'bare', bound: 1.8, ambition: 1.3 },
      { to: 'docker', bound: 0.2 },
    ],
  });
  assert.deepEqual(verdict, {
    to: 'bare',
    figure: 1.5,
    bound: 1.8,
    isMet: true,
    ambition: 1.3,
    isAmbitionMet: false,
    isLeast: false,
  });
  assert.deepEqual(others, [], 'no verdict over what is not there');
});

test('verdictsOf() takes the figure itself where it is compared with nothing, and a bound that is the least', () => {
  assert.equal(verdictsOf({ what: '', unit: 'MB', ours: 91, against: [{ bound: 90 }] })[0]?.isMet, false);
  assert.equal(verdictsOf({ what: '', unit: 'MB', ours: 90, against: [{ bound: 90 }] })[0]?.isMet, true);
  const speed = { what: '', unit: 'MB/s' as const, ours: 240, beside: { podman: 250 } };
  assert.equal(verdictsOf({ ...speed, against: [{ to: 'podman', bound: 1, isLeast: true }] })[0]?.isMet, false);
  assert.equal(
    verdictsOf({ ...speed, ours: 260, against: [{ to: 'podman', bound: 1, isLeast: true }] })[0]?.isMet,
    true,
  );
});

test('verdictsOf() judges the ratio that is shown', () => {
  const [verdict] = verdictsOf({
    what: '',
    unit: 'ms',
    ours: 18.004,
    beside: { bare: 10 },
    against: [{ to: 'bare', bound: 1.8 }],
  });
  assert.equal(verdict?.figure, 1.8);
  assert.equal(verdict.isMet, true);
});
