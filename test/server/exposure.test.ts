// What a daemon says of an address that others can reach.

import assert from 'node:assert/strict';
import test from 'node:test';
import { exposureWarning } from '../../src/server/callers.js';

test('exposureWarning() warns of every address but loopback, and says what it means and what helps', () => {
  for (const address of ['0.0.0.0', '::', '192.168.0.7', '2001:db8::7', '::ffff:10.0.0.1', '126.0.0.1']) {
    const warning = exposureWarning(`tcp ${address}:4242`, address, false) ?? '';
    assert.ok(
      warning.startsWith(`WARNING: tcp ${address}:4242 is open to other machines: whoever reaches it is root here`),
    );
    assert.match(warning, /--tlsverify.*127\.0\.0\.1$/);
  }
});

test('exposureWarning() is silent about loopback, and where certificates are demanded', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1'])
    assert.equal(exposureWarning('tcp', address, false), undefined, address);
  assert.equal(exposureWarning('tcp', '0.0.0.0', true), undefined);
});
