// config.json and userdata.json: what is not known survives a rewrite, what is damaged is named.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { configFromJSON, configToJSON, DEFAULT_TERM, type Config } from '../../src/container/config.js';
import {
  objectIn,
  readJsonObject,
  unknownPart,
  withUnknownKeys,
  type JsonObject,
} from '../../src/container/container-file.js';
import { DEFAULT_MODE } from '../../src/container/network-mode.js';
import { parsePortSpec } from '../../src/network/port-spec.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('readJsonObject() reads an object, and nothing where there is no file', (t) => {
  const path = join(temporaryFolder(t), 'config.json');
  assert.equal(readJsonObject(path), undefined);
  writeFileSync(path, '{"Id":"x"}\n');
  assert.deepEqual(readJsonObject(path), { Id: 'x' });
});

test('readJsonObject() names the file that holds something else, or is none', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'config.json');
  for (const [text, why] of [
    ['', 'Unexpected end'],
    ['{"Id":"x"', ''],
    ['\0\0\0', ''],
    ['[]', 'it holds no JSON object'],
    ['null', 'it holds no JSON object'],
    ['"x"', 'it holds no JSON object'],
  ] as const) {
    writeFileSync(path, text);
    assert.throws(() => readJsonObject(path), new RegExp(`^Error: Cannot read ${path}: ${why}`), text);
  }
  assert.throws(() => readJsonObject(folder), /: it is a folder$/);
});

test('objectIn() is an empty object where the member is none', () => {
  assert.deepEqual(objectIn({ a: { b: 1 } }, 'a'), { b: 1 });
  for (const value of [null, 1, 'x', [], undefined]) assert.deepEqual(objectIn({ a: value }, 'a'), {});
});

test('withUnknownKeys() writes what is known in its order, then what is not', () => {
  assert.equal(
    withUnknownKeys({ b: 1, a: 2 }, { z: [1], b: 9, y: { k: null } }),
    '{"b":1,"a":2,"z":[1],"y":{"k":null}}',
  );
});

test('withUnknownKeys() keeps a key named __proto__', () => {
  const read = JSON.parse('{"a":{"__proto__":1},"__proto__":{"b":2}}') as JsonObject; // an object, as written here
  assert.equal(withUnknownKeys({ a: { c: 3 } }, read), '{"a":{"c":3,"__proto__":1},"__proto__":{"b":2}}');
});

test('withUnknownKeys() keeps unknown keys one level down as well', () => {
  assert.equal(
    withUnknownKeys({ Config: { Tty: true }, State: { Pid: 0 } }, { Config: { Tty: false, User: 'x' }, State: 5 }),
    '{"Config":{"Tty":true,"User":"x"},"State":{"Pid":0}}',
  );
});

test('withUnknownKeys() does not merge lists', () => {
  assert.equal(withUnknownKeys({ Args: ['a'] }, { Args: ['b', 'c'] }), '{"Args":["a"]}');
});

test('withUnknownKeys() keeps the order of a map with keys like integers', () => {
  const read = JSON.parse('{"Network":{"Ports":{"443":"1","80":"2"}}}') as Record<string, unknown>; // just written so
  assert.equal(withUnknownKeys({ Id: 'x' }, read), '{"Id":"x","Network":{"Ports":{"443":"1","80":"2"}}}');
});

test('unknownPart() is all that withUnknownKeys() needs of what was read', () => {
  const known = { Id: 'x', Args: ['a'], Config: { Tty: true }, State: { Pid: 0 }, Ports: new Map([['80', '1']]) };
  for (const text of [
    '{}',
    '{"Id":"y","Args":["b"],"Config":{"Tty":false},"State":{"Pid":1},"Ports":{"443":"2"}}',
    '{"z":1,"Config":{"Tty":false,"User":"u","More":{"Tty":2}},"State":5,"Id":{"k":1},"Ports":{"443":"2"}}',
    '{"State":{"Net":{"443":"1","80":"2"}},"__proto__":{"b":2},"Config":{"__proto__":1},"443":"1","80":"2"}',
  ]) {
    const read = JSON.parse(text) as JsonObject; // an object, as written here
    assert.equal(withUnknownKeys(known, unknownPart(known, read)), withUnknownKeys(known, read), text);
  }
});

test('unknownPart() keeps nothing of what is known', () => {
  assert.deepEqual(
    unknownPart(
      { Id: 'x', Config: { Tty: true }, Args: [] },
      { Id: 'y', Config: { Tty: false, User: 'u' }, Args: [1] },
    ),
    { Config: { User: 'u' } },
  );
  assert.equal(unknownPart({ Id: '' }, { Id: 'y' }), unknownPart({ Id: '' }, {}));
});

test('configFromJSON() reads what configToJSON() wrote, keys of 2013 first', () => {
  const config: Config = {
    hostname: 'h',
    user: 'alice',
    ramBytes: 5,
    ports: ['80', '8080:81', '127.0.0.1:53:53/udp'].map(parsePortSpec),
    hasTty: true,
    isStdinOpen: true,
    term: 'vt100',
    mode: { type: 'container', id: '12345678' },
  };
  const json = configToJSON(config);
  assert.deepEqual(configFromJSON(json, 'id'), config);
  assert.deepEqual(Object.keys(json), [
    'Hostname',
    'User',
    'Ram',
    'Ports',
    'Tty',
    'OpenStdin',
    'Term',
    'PortSpecs',
    'Net',
  ]);
  assert.deepEqual(json['Ports'], [80, 81, 53]);
});

test('configFromJSON() takes what is missing or of another type for a plain container', () => {
  const plain: Config = {
    hostname: 'id',
    user: '',
    ramBytes: 0,
    ports: [],
    hasTty: false,
    isStdinOpen: false,
    term: DEFAULT_TERM,
    mode: DEFAULT_MODE,
  };
  assert.deepEqual(configFromJSON({}, 'id'), plain);
  const wrong = { Hostname: '', Ram: '5', Ports: ['x', 0], Tty: 1, OpenStdin: 'true', Term: null, Net: 'moon' };
  assert.deepEqual(configFromJSON(wrong, 'id'), plain);
});

test('configFromJSON() gives the ports of an original public ones', () => {
  assert.deepEqual(configFromJSON({ Ports: [80, 443] }, 'id').ports, ['80', '443'].map(parsePortSpec));
});
