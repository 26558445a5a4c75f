// Which layers a record names, and where they lie now.

import assert from 'node:assert/strict';
import test from 'node:test';
import { areLayers, layerPaths } from '../../src/filesystem/layer-paths.js';

const ONE = '0123456789abcdef';
const TWO = 'fedcba9876543210';
const LIKELY = [`/now/${ONE}`, `/now/${TWO}`];

test('layerPaths() finds layers by their names alone, and leaves out what is none', () => {
  assert.deepEqual(layerPaths('/now', [`/before/${ONE}`, TWO]), LIKELY);
  assert.deepEqual(layerPaths('/now', [`/before/${ONE}`, '/before/a:b', '/before/..', '', 5, null]), [`/now/${ONE}`]);
  for (const recorded of [undefined, null, ONE, {}, []]) assert.deepEqual(layerPaths('/now', recorded), []);
});

test('layerPaths() is the likely list itself, where that names the same layers in the same order', () => {
  assert.equal(layerPaths('/now', [`/before/${ONE}`, `/now/${TWO}`], LIKELY), LIKELY);
  for (const recorded of [[TWO, ONE], [ONE], [ONE, TWO, TWO], [ONE, 5], [ONE, 'a:b']]) {
    assert.deepEqual(layerPaths('/now', recorded, LIKELY), layerPaths('/now', recorded));
  }
});

test('areLayers() is true for a list of names of layers that is not empty', () => {
  assert.ok(areLayers([`/before/${ONE}`, TWO]));
  for (const recorded of [undefined, ONE, [], [ONE, 5], [ONE, '..'], [ONE, '']]) assert.ok(!areLayers(recorded));
});
