// Tables as Go's text/tabwriter lays them out.

import assert from 'node:assert/strict';
import test from 'node:test';
import { formatTable, truncateBytes } from '../../src/util/table.js';

const LAYOUT = { minWidth: 5, padding: 2 };

test('formatTable() makes every column as wide as its widest cell and the padding', () => {
  assert.equal(
    formatTable([['ID', 'NAME', 'X'], ['12345678', 'a', 'y']], LAYOUT),
    'ID        NAME  X\n12345678  a     y\n',
  ); // prettier-ignore
});

test('formatTable() makes no column narrower than the least width', () => {
  assert.equal(formatTable([['a', 'b']], LAYOUT), 'a    b\n');
  assert.equal(formatTable([['abc', 'b']], LAYOUT), 'abc  b\n');
  assert.equal(formatTable([['abcd', 'b']], LAYOUT), 'abcd  b\n');
});

test('formatTable() pads neither the last cell of a row nor an empty last one', () => {
  assert.equal(formatTable([['a', 'long cell'], ['b', '']], LAYOUT), 'a    long cell\nb    \n'); // prettier-ignore
});

test('formatTable() counts characters, not bytes and not UTF-16 units', () => {
  assert.equal(formatTable([['größe', 'x'], ['😀😀😀😀', 'y']], LAYOUT), 'größe  x\n😀😀😀😀   y\n'); // prettier-ignore
});

test('formatTable() takes each cell as it is, whatever the others hold', () => {
  assert.equal(formatTable([['plain', 'x'], ['größe😀', 'x'], ['a\tb', 'x']], LAYOUT), 'plain   x\ngröße😀  x\na\\tb    x\n'); // prettier-ignore
});

test('formatTable() takes more rows than a call takes arguments', () => {
  assert.equal(formatTable(Array.from({ length: 200_000 }, () => ['a', 'b']), LAYOUT).length, 7 * 200_000); // prettier-ignore
});

test('formatTable() shows control characters escaped, so that a row stays one line (D02)', () => {
  assert.equal(formatTable([['a\tb\nc\x1b\x7f', 'x']], LAYOUT), 'a\\tb\\nc\\u001b\\u007f  x\n');
});

test('formatTable() of no rows is nothing, and of one column the cells alone', () => {
  assert.equal(formatTable([], LAYOUT), '');
  assert.equal(formatTable([['a'], ['bbbbbbbb']], LAYOUT), 'a\nbbbbbbbb\n');
});

test('truncateBytes() leaves a text alone that is short enough', () => {
  assert.equal(truncateBytes('abc', 3), 'abc');
  assert.equal(truncateBytes('größe', 7), 'größe');
  assert.equal(truncateBytes('', 0), '');
});

test('truncateBytes() cuts after so many bytes', () => {
  assert.equal(truncateBytes('/bin/echo one two three', 20), '/bin/echo one two th');
});

test('truncateBytes() does not look at what it does not show', () => {
  assert.equal(truncateBytes('a'.repeat(1_000_000), 3), 'aaa');
  for (const tail of ['ö', '😀', 'b'.repeat(9)]) assert.equal(truncateBytes(`aaa${tail}`, 3), 'aaa');
});

test('truncateBytes() does not cut a character in two (D01)', () => {
  assert.equal(truncateBytes('aöb', 2), 'a');
  assert.equal(truncateBytes('aöb', 3), 'aö');
  for (const length of [1, 2, 3]) assert.equal(truncateBytes('😀', length), '');
  assert.equal(truncateBytes('😀x', 4), '😀');
});
