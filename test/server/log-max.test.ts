// What `--log-max` may say.

import assert from 'node:assert/strict';
import test from 'node:test';
import { parseLogMax } from '../../src/server/log-max.js';

test('parseLogMax() takes sizes with and without a unit, and 0', () => {
  const sizes = {
    '0': 0,
    '65536': 65_536,
    '64k': 65_536,
    '100m': 104_857_600,
    '5G': 5_368_709_120,
    '1tb': 1_099_511_627_776,
  };
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseLogMax(text), bytes, text);
});

test('parseLogMax() refuses what is no size, and what is too little', () => {
  for (const text of ['', 'm', '-1', '1.5g', '63k', '1', '100 m', '99999999999t', '1e9', '0x100000']) {
    assert.throws(() => parseLogMax(text), {
      message: `Invalid --log-max "${text}": expected a size such as 100m, at least 64k, or 0 for any amount`,
    });
  }
});
