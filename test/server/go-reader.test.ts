// The reader that stands in for Go's: it must fail where Go's does.

import assert from 'node:assert/strict';
import test from 'node:test';
import { readAsGo, type GoType } from './go-reader.js';

const TYPE: GoType = {
  struct: { Name: 'string', Count: 'int', Is: 'bool', At: 'time', List: { list: 'int' }, Map: { map: 'string' } },
};
const GOOD =
  '{"Name":"a","Count":-3,"Is":true,"At":"2013-01-29T17:04:05.123456789Z","List":[1],"Map":{"443":"x","80":""}}';

test('readAsGo() takes what Go writes, nil lists and maps, and keys that a struct does not have', () => {
  readAsGo(GOOD, TYPE);
  readAsGo(GOOD.replace('[1]', 'null').replace(/\{"443.*?\}/, 'null'), TYPE);
  readAsGo(GOOD.replace('"Count"', '"More":{"x":[null,1.5e3]},"Count"'), TYPE);
  readAsGo(GOOD.replace('.123456789Z', '+01:00'), TYPE);
});

test('readAsGo() refuses a value of another type, with its place', () => {
  for (const [from, to, where] of [
    ['"a"', 'null', 'Want string for $.Name'],
    ['-3', '"3"', 'Want int for $.Count'],
    ['-3', '1.0', 'Want int for $.Count'],
    ['-3', '1e3', 'Want int for $.Count'],
    ['-3', '9223372036854775808', 'Want int for $.Count'],
    ['-3', 'null', 'Want int for $.Count'],
    ['true', '1', 'Want bool for $.Is'],
    ['2013-01-29T', '2013-13-29T', 'Want time for $.At'],
    ['2013-01-29T', '2013-01-29 ', 'Want time for $.At'],
    ['456789Z', '4567890Z', 'Want time for $.At'],
    ['[1]', '{}', 'Want a list for $.List'],
    ['[1]', '[null]', 'Want int for $.List[0]'],
    ['{"443"', '[{"443"', ''],
    ['"x"', '5', 'Want string for $.Map.443'],
  ] as const) {
    const text = GOOD.replace(from, to);
    assert.notEqual(text, GOOD);
    assert.throws(
      () => readAsGo(text, TYPE),
      (error: Error) => error.message.startsWith(where),
      `${from} -> ${to}`,
    );
  }
});

test('readAsGo() refuses members that are missing, twice there, in another order, or there in other capitals', () => {
  for (const text of [
    GOOD.replace('"Name":"a",', ''),
    GOOD.replace('"Name":"a",', '"Name":"a","Name":"a",'),
    GOOD.replace('"Name":"a","Count":-3', '"Count":-3,"Name":"a"'),
    GOOD.replace('"Name":"a",', '"Name":"a","name":"a",'),
  ])
    assert.throws(() => readAsGo(text, TYPE), /^Error: Want Name,Count/);
});

test('readAsGo() refuses another layout than that of Go', () => {
  assert.throws(() => readAsGo(GOOD.replace('"443":"x","80":""', '"80":"","443":"x"'), TYPE), /sorted keys/);
  assert.throws(() => readAsGo(GOOD.replace(':', ': '), TYPE), /^Error: Want a value at 8/);
  assert.throws(() => readAsGo(`${GOOD}\n`, TYPE), /^Error: Want the end at/);
  assert.throws(() => readAsGo(GOOD.replace('"a"', '"<a>"'), TYPE), /^Error: Go escapes "<"/);
  assert.throws(() => readAsGo(GOOD.replace('"a"', '"\x01"'), TYPE), /^Error: Want a value at|^Error: Want a string/);
});
