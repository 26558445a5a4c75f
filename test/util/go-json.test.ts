// JSON as Go's encoding/json writes it, to the byte.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fromParsed, goMarshal, goMarshalIndent } from '../../src/util/go-json.js';

test('goMarshal() writes every kind of value on one line without spaces', () => {
  assert.equal(
    goMarshal({ a: null, b: [true, false], c: -1.5, d: 'x', e: {} }),
    '{"a":null,"b":[true,false],"c":-1.5,"d":"x","e":{}}',
  );
  assert.equal(goMarshal('x'), '"x"');
  assert.equal(goMarshal([]), '[]');
});

test('goMarshal() escapes what would be markup, in values and in keys', () => {
  assert.equal(goMarshal({ '<k>': 'a<b>&c' }), '{"\\u003ck\\u003e":"a\\u003cb\\u003e\\u0026c"}');
  assert.equal(goMarshal('\u2028\u2029'), '"\\u2028\\u2029"');
});

test('goMarshal() writes other characters as they are', () => {
  assert.equal(goMarshal('größe € 😀 /\x7f'), '"größe € 😀 /\x7f"');
  assert.equal(goMarshal('"\\\n\r\t\x00\x1b'), '"\\"\\\\\\n\\r\\t\\u0000\\u001b"');
});

test('goMarshal() keeps the members of an object in their order and leaves undefined ones out', () => {
  assert.equal(goMarshal({ b: 1, a: undefined, A: 2 }), '{"b":1,"A":2}');
});

test('goMarshal() sorts a map by the text of its keys, also where they look like integers', () => {
  const ports = new Map(['80', '9', 'b', '443', 'B', ''].map((key) => [key, key] as const));
  assert.equal(goMarshal(ports), '{"":"","443":"443","80":"80","9":"9","B":"B","b":"b"}');
});

test('goMarshal() sorts a map by bytes of UTF-8, not by UTF-16', () => {
  const map = new Map([
    ['😀', 1],
    ['\uff5e', 2],
  ]);
  assert.equal(goMarshal(map), '{"\uff5e":2,"😀":1}');
});

test('goMarshalIndent() indents by four spaces, and keeps empty ones on a line', () => {
  assert.equal(
    goMarshalIndent({ a: [1, { b: 'x' }], c: [], d: {}, e: new Map() }),
    '{\n    "a": [\n        1,\n        {\n            "b": "x"\n        }\n    ],\n    "c": [],\n    "d": {},\n    "e": {}\n}',
  );
});

test('fromParsed() writes back what was read from Go, with its order', () => {
  for (const text of [
    '{"b":1,"a":[{"d":null,"c":"x"}]}',
    '{"443":"a","80":"b","9":"c"}',
    '{"x":{"10":1,"9":2},"a":{}}',
    '[1,[]]',
  ])
    assert.equal(goMarshal(fromParsed(JSON.parse(text))), text);
});

test('fromParsed() keeps a key named __proto__', () => {
  const text = '{"__proto__":{"a":1},"constructor":2}';
  assert.equal(goMarshal(fromParsed(JSON.parse(text))), text);
});
