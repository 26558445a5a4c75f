// How curves are judged.

import test from 'node:test';
import assert from 'node:assert/strict';
import { fitPower, growthOf } from './fit.js';

const NUMBERS = [1, 3, 10, 30, 100, 300, 1000];
/** Up to that part more or less, the same each time. */
const noisy = (part: number) => (value: number, at: number) => value * (1 + part * Math.sin(at * 12.9898));
const points = (cost: (count: number) => number, part = 0): [number, number][] =>
  NUMBERS.map((count, at) => [count, noisy(part)(cost(count), at)]);

test('fitPower() finds constant, factor and exponent', () => {
  const { a, b, exponent } = fitPower(points((count) => 20 + 0.5 * count ** 1.5));
  assert.ok(Math.abs(a - 20) < 0.5, `a = ${a}`);
  assert.ok(Math.abs(b - 0.5) < 0.05, `b = ${b}`);
  assert.ok(Math.abs(exponent - 1.5) < 0.02, `exponent = ${exponent}`);
});

test('growthOf() calls flat what differs by noise alone', () => {
  const growth = growthOf(points(() => 12, 0.2));
  assert.equal(growth.kind, 'flat');
  assert.equal(growth.exponent, 0);
});

test('growthOf() calls flat what becomes cheaper', () => {
  assert.equal(growthOf(points((count) => 100 / count)).kind, 'flat');
});

test('growthOf() sees linear growth behind a constant, with noise', () => {
  for (const part of [0, 0.1]) {
    const growth = growthOf(points((count) => 20 + 0.1 * count, part));
    assert.equal(growth.kind, 'no worse than linear', growth.text);
    assert.ok(growth.exponent > 0.7, growth.text);
  }
});

test('growthOf() sees what grows with the square, also where a constant hides most of it', () => {
  assert.equal(growthOf(points((count) => 3 * count * count)).kind, 'worse than linear');
  const growth = growthOf(points((count) => 20 + 1e-4 * count * count, 0.05));
  assert.equal(growth.kind, 'worse than linear', growth.text);
});

test('growthOf() calls a logarithm no worse than linear', () => {
  assert.equal(growthOf(points((count) => 1 + Math.log(count))).kind, 'no worse than linear');
});
