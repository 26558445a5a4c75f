// The drawing of curves.

import test from 'node:test';
import assert from 'node:assert/strict';
import { decades, svg } from './svg.js';

test('decades() holds all values, and is never empty', () => {
  assert.deepEqual(decades([1, 1000]), [0, 3]);
  assert.deepEqual(decades([12, 80]), [1, 2]);
  assert.deepEqual(decades([5]), [0, 1]);
  assert.deepEqual(decades([10]), [1, 2]);
  assert.deepEqual(decades([0.02, 3]), [-2, 1]);
});

test('svg() draws each point of each line inside of its own plot', () => {
  const points = [1, 10, 100, 1000].map((count) => [count, 5 + count] as const);
  const curve = {
    title: 'a < b',
    things: 'containers',
    unit: 'ms' as const,
    series: [
      { name: 'one', expected: 'linear' as const, points },
      { name: 'two', expected: 'flat' as const, points: points.map(([count]) => [count, 7] as const) },
    ],
  };
  const text = svg([curve, curve, curve]);
  assert.equal(text.match(/<polyline /g)?.length, 6);
  const dots = [...text.matchAll(/<circle cx="([^"]+)" cy="([^"]+)"/g)].map(([, x, y]) => [Number(x), Number(y)]);
  assert.equal(dots.length, 24);
  for (const [x = NaN, y = NaN] of dots) assert.ok(x >= 80 && x <= 560 && y >= 0 && y <= 380, `${x} ${y}`);
  assert.ok(text.includes('a &lt; b'));
  assert.ok(text.includes('one: exponent 1.00'));
  assert.ok(text.includes('two: flat; 7.00 ms'));
  assert.match(text, /viewBox="0 0 1120 760"/);
  assert.ok(!/NaN|undefined|Infinity/.test(text));
});
