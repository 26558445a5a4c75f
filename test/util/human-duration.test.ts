// Durations in words, on both sides of every threshold.

import assert from 'node:assert/strict';
import test from 'node:test';
import { humanDuration } from '../../src/util/human-duration.js';

const HOUR = 3_600;
const DAY = 24 * HOUR;

test('humanDuration() changes its unit where the original does', () => {
  const expected: [number, string][] = [
    [0, 'Less than a second'],
    [0.999, 'Less than a second'],
    [1, '1 seconds'],
    [59.9, '59 seconds'],
    [60, 'About a minute'],
    [119.9, 'About a minute'],
    [120, '2 minutes'],
    [HOUR - 0.1, '59 minutes'],
    [HOUR, 'About an hour'],
    [2 * HOUR - 0.1, 'About an hour'],
    [2 * HOUR, '2 hours'],
    [48 * HOUR - 0.1, '47 hours'],
    [48 * HOUR, '2 days'],
    [14 * DAY - 0.1, '13 days'],
    [14 * DAY, '2 weeks'],
    [90 * DAY - 0.1, '12 weeks'],
    [90 * DAY, '3 months'],
    [730 * DAY - 0.1, '24 months'],
    [730 * DAY, '2 years'],
    [10 * 365 * DAY, '10 years'],
  ];
  for (const [seconds, words] of expected) assert.equal(humanDuration(seconds), words, `${seconds} s`);
});

test('humanDuration() takes a clock that was set back for no time', () => {
  for (const seconds of [-0.5, -1, -1_000_000]) assert.equal(humanDuration(seconds), 'Less than a second');
});
