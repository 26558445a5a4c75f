// Identifiers, against sums that sha256sum gives.

import assert from 'node:assert/strict';
import test from 'node:test';
import { imageHash, randomId, shortDigest } from '../../src/util/ids.js';

test('randomId() is eight hex digits, another one each time', () => {
  const ids = Array.from({ length: 1000 }, randomId);
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}$/);
  assert.ok(new Set(ids).size > 990);
});

test('shortDigest() is the first eight bytes', () => {
  // printf abc | sha256sum
  assert.equal(shortDigest('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'), 'ba7816bf8f01cfea');
});

test('imageHash() of one layer is its own id', () => {
  assert.equal(imageHash(['0123456789abcdef']), '0123456789abcdef');
});

test('imageHash() of several layers is the digest of their ids joined, top first', () => {
  // printf abc | sha256sum
  assert.equal(imageHash(['a', 'b', 'c']), 'ba7816bf8f01cfea');
  assert.equal(imageHash(['ab', 'c']), 'ba7816bf8f01cfea');
  assert.notEqual(imageHash(['c', 'b', 'a']), 'ba7816bf8f01cfea');
});

test('imageHash() of no layer is the digest of nothing', () => {
  // printf '' | sha256sum
  assert.equal(imageHash([]), 'e3b0c44298fc1c14');
});
