// Which daemon: what the variable DOCKER may say.

import assert from 'node:assert/strict';
import test from 'node:test';
import { daemonAddress, DEFAULT_ADDRESS } from '../../src/client/address.js';

test('daemonAddress() takes host and port', () => {
  assert.deepEqual(daemonAddress('example.org:80'), { host: 'example.org', port: 80 });
  assert.deepEqual(daemonAddress(DEFAULT_ADDRESS), { host: '127.0.0.1', port: 4242 });
});

test('daemonAddress() takes a host alone for the usual port, and a port alone for this machine', () => {
  assert.deepEqual(daemonAddress('host'), { host: 'host', port: 4242 });
  assert.deepEqual(daemonAddress(':5000'), { host: '127.0.0.1', port: 5000 });
  assert.deepEqual(daemonAddress(''), { host: '127.0.0.1', port: 4242 });
});

test('daemonAddress() takes an IPv6 host in brackets', () => {
  assert.deepEqual(daemonAddress('[::1]:80'), { host: '::1', port: 80 });
  assert.deepEqual(daemonAddress('[fe80::1%eth0]'), { host: 'fe80::1%eth0', port: 4242 });
});

test('daemonAddress() refuses what is neither, and quotes it', () => {
  for (const text of ['host:', 'host:x', 'host:70000', 'host:123456', '::1', 'a:b:80', 'host:-1', '[]:80', 'h:80 '])
    assert.throws(
      () => daemonAddress(text),
      { message: `Invalid address "${text}": expected HOST:PORT, tcp://HOST:PORT or unix:///PATH` },
      text,
    );
});
