// What is told of damage on disk: in the log at once, and in `info` as long as it is so.

import assert from 'node:assert/strict';
import test from 'node:test';
import { DamageReport } from '../../src/util/damage-report.js';

test('DamageReport.add() tells the log at once, and keeps the order in which things were found', () => {
  const log: string[] = [];
  const report = new DamageReport((line) => log.push(line));
  report.add('one is torn');
  assert.deepEqual(log, ['damage: one is torn']);
  report.add('another is empty');
  assert.deepEqual(log, ['damage: one is torn', 'damage: another is empty']);
  assert.deepEqual(report.lines, ['one is torn', 'another is empty']);
});

test('DamageReport.add() makes one line of whatever a file holds, that speaks to no terminal', () => {
  const log: string[] = [];
  const report = new DamageReport((line) => log.push(line));
  report.add('a\nb\r\tc\0 \x1b[2J\x7f\x80\x9f ü☃');
  assert.deepEqual(report.lines, ['a?b??c? ?[2J??? ü☃']);
  assert.deepEqual(log, ['damage: a?b??c? ?[2J??? ü☃']);
});

test('DamageReport.add() cuts a line that is too long, and says so', () => {
  const report = new DamageReport();
  report.add('x'.repeat(1_000));
  report.add('y'.repeat(100_000));
  assert.deepEqual(report.lines, ['x'.repeat(1_000), `${'y'.repeat(1_000)}...`]);
});

test('DamageReport.lines has what is so still', () => {
  const report = new DamageReport();
  let isThere = true;
  report.add('for good');
  report.add('as long as it is there', { isStillSo: () => isThere });
  assert.deepEqual(report.lines, ['for good', 'as long as it is there']);
  isThere = false;
  assert.deepEqual(report.lines, ['for good']);
  isThere = true;
  assert.deepEqual(report.lines, ['for good', 'as long as it is there'], 'it is asked afresh');
});

test('DamageReport.needsLayers holds as long as what may name layers is there', () => {
  const report = new DamageReport();
  let isThere = true;
  report.add('names no layers');
  assert.equal(report.needsLayers, false);
  report.add('may name some', { needsLayers: true, isStillSo: () => isThere });
  assert.equal(report.needsLayers, true);
  isThere = false;
  assert.equal(report.needsLayers, false);
});
