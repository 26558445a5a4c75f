import assert from 'node:assert/strict';
import test from 'node:test';
import { Bindings } from './bindings.js';
import { judgeJson } from './expectations/json.js';
import { parseOrdered, writeAsGo } from './ordered-json.js';

test('writeAsGo() writes what parseOrdered() read, with the keys in their order', () => {
  for (const text of [
    '{"80":"1","9":[1,{"a":{}}],"b":[],"a":null}',
    '"\\u003ca\\u0026\\u003e\\n\\"\\\\ é"',
    '[-1.5,true]',
  ]) {
    assert.equal(writeAsGo(parseOrdered(text), false), text);
  }
});

test('writeAsGo() indents as json.Indent does', () => {
  assert.equal(
    writeAsGo(parseOrdered('{"a":[1,{}],"b":{}}'), true),
    '{\n    "a": [\n        1,\n        {}\n    ],\n    "b": {}\n}',
  );
});

test('parseOrdered() throws where the text is no JSON', () => {
  for (const text of ['', '{', '{"a":1,}', '[1] 2', "'a'"]) assert.throws(() => parseOrdered(text), SyntaxError, text);
});

test('judgeJson() lets more keys stand between the recorded ones, in their order, written as Go does', () => {
  const isRight = (got: string): boolean =>
    judgeJson(parseOrdered('{"A":"{{int}}","B":{"80":"x"}}'), 'compact', Buffer.from(got), new Bindings()) ===
    undefined;
  assert.ok(isRight('{"A":1,"B":{"80":"x"}}'));
  assert.ok(isRight('{"A":1,"More":[],"B":{"80":"x","9":"y"},"Last":0}'));
  for (const wrong of [
    '{"B":{"80":"x"},"A":1}',
    '{"A":1}',
    '{"A":"one","B":{"80":"x"}}',
    '{"A":1,"B":{"80":"y"}}',
    '{"A":1,"B":null}',
    '{"A": 1,"B":{"80":"x"}}',
    '{"A":1,"B":{"80":"x"},"C":"<"}',
    '{"A":1,"B":{"80":"x"}',
  ]) {
    assert.ok(!isRight(wrong), wrong);
  }
});
