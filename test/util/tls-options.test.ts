// What flags and variables say about TLS.

import assert from 'node:assert/strict';
import { homedir } from 'node:os';
import test from 'node:test';
import { tlsOptions, tlsWords, type TlsFlags } from '../../src/util/tls-options.js';

const NONE: TlsFlags = { tls: false, tlsverify: false, tlscacert: '', tlscert: '', tlskey: '' };

test('tlsOptions() wants no TLS where nobody asks for it, whatever the folder', () => {
  assert.equal(tlsOptions(NONE, { DOCKER_CERT_PATH: '/certificates' }), undefined);
});

test('tlsOptions() finds the files in DOCKER_CERT_PATH, else in the home', () => {
  const { isVerified, ca, cert, key } = tlsOptions({ ...NONE, tlsverify: true }, { DOCKER_CERT_PATH: '/c' }) ?? {};
  assert.deepEqual(
    [isVerified, ca, cert, key],
    [true, ...['ca', 'cert', 'key'].map((name) => ({ path: `/c/${name}.pem`, isNamed: false }))],
  );
  assert.equal(tlsOptions({ ...NONE, tls: true }, {})?.ca.path, `${homedir()}/.tsdock/ca.pem`);
  assert.equal(tlsOptions({ ...NONE, tls: true }, { DOCKER_CERT_PATH: '' })?.key.path, `${homedir()}/.tsdock/key.pem`);
});

test('tlsOptions() prefers files that are named, and makes them absolute', () => {
  const options = tlsOptions({ ...NONE, tls: true, tlscert: 'mine.pem' }, { DOCKER_CERT_PATH: '/c' });
  assert.deepEqual(options?.cert, { path: `${process.cwd()}/mine.pem`, isNamed: true });
  assert.equal(options.isVerified, false);
});

test('tlsOptions() refuses a file without TLS: the call would go out in plain text', () => {
  for (const name of ['tlscacert', 'tlscert', 'tlskey']) {
    assert.throws(
      () => tlsOptions({ ...NONE, [name]: 'x.pem' }, {}),
      new RegExp(`^Error: Cannot use --${name} without TLS: add --tlsverify`),
    );
  }
});

test('tlsWords() says the same again, from whatever folder', () => {
  const options = tlsOptions({ ...NONE, tlsverify: true, tlscacert: '/a', tlskey: 'k' }, {});
  assert.ok(options);
  assert.deepEqual(tlsWords(options), ['--tlsverify', '--tlscacert=/a', `--tlskey=${process.cwd()}/k`]);
  const plain = tlsOptions({ ...NONE, tls: true }, {});
  assert.ok(plain);
  assert.deepEqual(tlsWords(plain), ['--tls']);
});
