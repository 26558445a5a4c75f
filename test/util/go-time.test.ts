// Times as Go writes and reads them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { goLogTime, goTime, goTimeMs, ZERO_TIME } from '../../src/util/go-time.js';

test('goTime() writes decimals without zeros at their end', () => {
  assert.equal(goTime(0), '1970-01-01T00:00:00Z');
  assert.equal(goTime(1_355_270_400_123), '2012-12-12T00:00:00.123Z');
  assert.equal(goTime(1_355_270_400_120), '2012-12-12T00:00:00.12Z');
  assert.equal(goTime(1_355_270_400_100), '2012-12-12T00:00:00.1Z');
});

test('goTime() keeps the zeros that are no decimals', () => {
  assert.equal(goTime(Date.UTC(2012, 11, 12, 10, 20, 30)), '2012-12-12T10:20:30Z');
  assert.equal(goTime(Date.UTC(2000, 9, 10, 10, 10, 0)), '2000-10-10T10:10:00Z');
});

test('goTimeMs() reads nine decimals, a time zone, and what goTime() wrote', () => {
  assert.equal(goTimeMs('2012-12-12T00:00:00.123456789Z'), 1_355_270_400_123);
  assert.equal(goTimeMs('2012-12-12T01:00:00.5+01:00'), 1_355_270_400_500);
  assert.equal(goTimeMs('2012-12-12T01:00:00.123456789+01:00'), 1_355_270_400_123);
  for (const ms of [0, 1, 10, 999, 1_355_270_400_007]) assert.equal(goTimeMs(goTime(ms)), ms);
});

test('goTimeMs() reads the zero time as long ago, and what is no time as NaN', () => {
  assert.ok(goTimeMs(ZERO_TIME) < Date.UTC(1900, 0));
  assert.ok(Number.isNaN(goTimeMs('yesterday')));
  assert.ok(Number.isNaN(goTimeMs('')));
});

test('goLogTime() is local date and time with two digits each', () => {
  assert.equal(goLogTime(new Date(2013, 0, 9, 7, 4, 5, 999)), '2013/01/09 07:04:05');
  assert.equal(goLogTime(new Date(2013, 11, 31, 23, 59, 59)), '2013/12/31 23:59:59');
});
