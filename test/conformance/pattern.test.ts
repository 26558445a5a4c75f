// Templates: what is exact, what is free, and what must be the same again.

import assert from 'node:assert/strict';
import test from 'node:test';
import { Bindings } from './bindings.js';
import { decode, encode } from './bytes.js';
import { matches } from './pattern.js';

const isMatch = (template: string, text: string, values: [string, string][] = []): boolean =>
  matches(template, encode(text), new Bindings(values));

test('matches() takes all but the tokens as it stands, to the last byte', () => {
  assert.ok(isMatch('a.b (c) [d]\n', 'a.b (c) [d]\n'));
  for (const wrong of ['axb (c) [d]\n', 'a.b (c) [d]', 'a.b (c) [d]\n\n', ' a.b (c) [d]\n']) {
    assert.ok(!isMatch('a.b (c) [d]\n', wrong), JSON.stringify(wrong));
  }
});

test('matches() knows what each token stands for', () => {
  const right: Record<string, string[]> = {
    'id:a': ['0a1b2c3d'],
    'hash:a': ['0123456789abcdef'],
    duration: ['Less than a second', '59 seconds', 'About a minute', '2 hours'],
    time: ['2013-01-29T12:00:00Z', '2013-01-29T12:00:00.123456789+01:00'],
    logtime: ['2013/01/29 12:00:00'],
    int: ['0', '-1', '12'],
    nonzero: ['-1', '12'],
    any: ['', 'a b'],
    text: ['', 'a\nb'],
    lbrace: ['{{'],
  };
  for (const [token, texts] of Object.entries(right))
    for (const text of texts) assert.ok(isMatch(`{{${token}}}`, text), text);
  const wrong: Record<string, string[]> = {
    'id:a': ['0a1b2c3', '0a1b2c3d4', '0A1B2C3D'],
    duration: ['1 second', 'about a minute'],
    time: ['2013-01-29 12:00:00Z'],
    nonzero: ['0'],
    any: ['a\nb'],
    'word:a': ['', 'a b'],
  };
  for (const [token, texts] of Object.entries(wrong))
    for (const text of texts) assert.ok(!isMatch(`{{${token}}}`, text), text);
});

test('matches() binds a token where it is first seen, and wants the same afterwards', () => {
  const bindings = new Bindings();
  assert.ok(matches('{{id:a}} {{id:b}} {{id:a}}\n', Buffer.from('00000000 11111111 00000000\n'), bindings));
  assert.equal(bindings.fill('{{id:b}}'), '11111111');
  assert.ok(!matches('{{id:b}}', Buffer.from('00000000'), bindings));
  assert.ok(!isMatch('{{id:a}} {{id:a}}', '00000000 11111111'));
});

test('matches() binds nothing where it fails', () => {
  const bindings = new Bindings();
  assert.ok(!matches('{{id:a}}!', Buffer.from('00000000?'), bindings));
  assert.equal(bindings.get('id:a'), undefined);
});

test('matches() lets a line be missing that is marked so', () => {
  assert.ok(isMatch('a\n{{?}}b\nc\n', 'a\nc\n'));
  assert.ok(isMatch('a\n{{?}}b\nc\n', 'a\nb\nc\n'));
  assert.ok(!isMatch('a\n{{?}}b\nc\n', 'a\nb\nb\nc\n'));
});

test('matches() compares bytes that are no UTF-8', () => {
  assert.ok(matches('\udcff\udc80é', Buffer.from([0xff, 0x80, 0xc3, 0xa9]), new Bindings()));
  assert.ok(!matches('\udcff', Buffer.from([0xfe]), new Bindings()));
});

test('decode() is undone by encode(), whatever the bytes', () => {
  const every = Buffer.from(Array.from({ length: 65_536 }, (_, n) => [n >> 8, n & 255]).flat());
  assert.ok(encode(decode(every)).equals(every));
  assert.equal(decode(Buffer.from('é€😀')), 'é€😀');
  assert.equal(decode(Buffer.from([0xed, 0xa0, 0x80])), '\udced\udca0\udc80'); // a surrogate is no character
});

test('Bindings.fill() throws where nothing has bound the token, and matches() where there is no such token', () => {
  assert.throws(() => new Bindings().fill('rm {{id:c}}'), /nothing has bound it/);
  assert.throws(() => isMatch('{{nonsense}}', ''), /no such token/);
});
