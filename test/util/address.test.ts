// Addresses as people write them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { MAX_SOCKET_PATH_BYTES, parseAddress, showAddress } from '../../src/util/address.js';

test('parseAddress() takes host and port, and this machine where no host is named', () => {
  assert.deepEqual(parseAddress('0.0.0.0:4242'), { host: '0.0.0.0', port: 4242 });
  assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(parseAddress(':80'), { host: '127.0.0.1', port: 80 });
  assert.deepEqual(parseAddress('[::1]:65535'), { host: '::1', port: 65_535 });
  assert.deepEqual(parseAddress('tcp://example.org:80'), { host: 'example.org', port: 80 });
  assert.deepEqual(parseAddress('tcp://[::1]:80'), { host: '::1', port: 80 });
});

test('parseAddress() takes a host alone where there is a usual port', () => {
  assert.deepEqual(parseAddress('host', 4242), { host: 'host', port: 4242 });
  assert.deepEqual(parseAddress('tcp://host', 4242), { host: 'host', port: 4242 });
  assert.deepEqual(parseAddress('[::1]', 4242), { host: '::1', port: 4242 });
});

test('parseAddress() takes the path of a socket', () => {
  assert.deepEqual(parseAddress('unix:///run/tsdock.sock'), { path: '/run/tsdock.sock' });
  assert.deepEqual(parseAddress('unix:///a b:4242/c'), { path: '/a b:4242/c' });
  const longest = `/${'x'.repeat(MAX_SOCKET_PATH_BYTES - 1)}`;
  assert.deepEqual(parseAddress(`unix://${longest}`), { path: longest });
});

test('parseAddress() refuses what is no address, and quotes it', () => {
  const wrong = [
    '',
    'host',
    '4242',
    'host:',
    ':',
    'host:65536',
    'host:-1',
    'host:1x',
    '::1:80',
    'a:b:80',
    'http://h:80',
  ];
  for (const text of [
    ...wrong,
    'tcp://',
    'tcp://host',
    'tcp:host:80',
    'tcp://host/path:80',
    'udp://host:80',
    'a/b:80',
  ]) {
    const message = `Invalid address "${text}": expected HOST:PORT, tcp://HOST:PORT or unix:///PATH`;
    assert.throws(() => parseAddress(text), { message }, text);
  }
});

test('parseAddress() refuses a path that can be no socket', () => {
  for (const text of ['unix://', 'unix://run/x.sock', 'unix:///run/', 'unix:///a\0b', 'unix:///']) {
    assert.throws(() => parseAddress(text), /^Error: Invalid address "unix:.*": expected the whole path of a socket/s);
  }
  // The kernel counts bytes.
  for (const path of [`/${'x'.repeat(MAX_SOCKET_PATH_BYTES)}`, `/${'ä'.repeat(MAX_SOCKET_PATH_BYTES / 2)}y`]) {
    assert.throws(() => parseAddress(`unix://${path}`), /: the path of a socket has at most 107 bytes$/);
  }
});

test('showAddress() writes what parseAddress() takes', () => {
  for (const text of ['127.0.0.1:80', '[::1]:80', 'unix:///run/x.sock']) {
    assert.equal(showAddress(parseAddress(text)), text);
  }
});
