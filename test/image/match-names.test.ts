// Regular expressions on names: Go's, and none that holds the daemon up.

import assert from 'node:assert/strict';
import test from 'node:test';
import { matchNames } from '../../src/image/match-names.js';

const NAMES = ['base', 'Base', 'team/web', 'web 2', 'über', 'a\nb'];

test('matchNames() reads expressions as Go does', async () => {
  for (const [pattern, matching] of [
    ['', NAMES],
    ['as', ['base', 'Base']],
    ['(?i)^base$', ['base', 'Base']],
    ['^team/', ['team/web']],
    ['[[:space:]]', ['web 2', 'a\nb']],
    ['\\p{L}b', ['team/web', 'web 2', 'über']],
    ['^a.b$', []],
    ['(?s)^a.b\\z', ['a\nb']],
    ['nothing', []],
  ] as const)
    assert.deepEqual(await matchNames(pattern, NAMES), matching, pattern);
});

test('matchNames() says as Go does what is wrong with an expression', async () => {
  for (const [pattern, problem] of [
    ['(', 'missing closing ): `(`'],
    ['*x', 'missing argument to repetition operator: `*`'],
    ['[z', 'missing closing ]: `[z`'],
    ['a**', 'invalid nested repetition operator: `**`'],
    ['a(?=b)', 'invalid or unsupported Perl syntax: `(?=`'],
    ['(a)\\1', 'invalid escape sequence: `\\1`'],
  ] as const)
    await assert.rejects(matchNames(pattern, NAMES), { message: `error parsing regexp: ${problem}` });
});

test('matchNames() does at once what makes a backtracking engine run for ever', async () => {
  // Such an engine would be given up, see below.
  assert.deepEqual(await matchNames('^(a+)+$', [`${'a'.repeat(5_000)}!`]), []);
  assert.deepEqual(await matchNames('(x+x+)+y', ['x'.repeat(5_000)]), []);
});

test('matchNames() gives up what takes too long or too much, and the daemon goes on meanwhile', async () => {
  let turns = 0;
  const watch = setInterval(() => turns++, 10);
  const slow = Array.from({ length: 100_000 }, (_, i) => `${'a'.repeat(500)}${i}`);
  await assert.rejects(matchNames(`${'(a|b|c){0,1000}'.repeat(4)}$`, slow), /^Error: Cannot match the regular expression: it takes more than 5 seconds$/); // prettier-ignore
  assert.ok(turns > 50, `${turns} turns`);
  clearInterval(watch);
  await assert.rejects(matchNames('.{1000}'.repeat(20_000), ['a']), {
    message: 'error parsing regexp: expression too large',
  });
});
