// Certificates and keys as files: each mistake is one sentence that names the file.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { readClientTls, readServerTls } from '../../src/util/tls-files.js';
import { tlsOptions, type TlsOptions } from '../../src/util/tls-options.js';
import { Authority } from '../certificates.js';

let authority: Authority;
let good: string;
before(() => {
  authority = new Authority();
  good = authority.sign('good');
});
after(() => authority.remove());

const NONE = { tls: false, tlsverify: true, tlscacert: '', tlscert: '', tlskey: '' };
const noLog = (): void => undefined;

/** The usual files in a folder, but for those that are named. */
function options(folder: string, named: Partial<typeof NONE> = {}): TlsOptions {
  const found = tlsOptions({ ...NONE, ...named }, { DOCKER_CERT_PATH: folder });
  assert.ok(found);
  return found;
}

/** A file in a folder of its own. */
function fileOf(name: string, content: string): string {
  const path = join(authority.folder, name);
  writeFileSync(path, content);
  return path;
}

test('readServerTls() reads certificate and key, and the authority where callers are checked', () => {
  const { ca, cert, key } = readServerTls(options(good), noLog);
  assert.match(cert ?? '', /BEGIN CERTIFICATE/);
  assert.match(key ?? '', /BEGIN PRIVATE KEY/);
  assert.match(ca ?? '', /BEGIN CERTIFICATE/);
  assert.equal(readServerTls(options(good, { tls: true, tlsverify: false }), noLog).ca, undefined);
});

test('readServerTls() names a file that is missing, and which flag or variable says where it is', () => {
  const folder = join(authority.folder, 'empty');
  mkdirSync(folder);
  assert.throws(() => readServerTls(options(folder), noLog), {
    message: `Cannot read the certificate "${folder}/cert.pem": there is no such file, name one with --tlscert, or its folder with DOCKER_CERT_PATH`,
  });
  assert.throws(() => readServerTls(options(good, { tlskey: '/nosuch' }), noLog), {
    message: 'Cannot read the key "/nosuch": there is no such file',
  });
  assert.throws(() => readServerTls(options(good, { tlscacert: folder }), noLog), {
    message: `Cannot read the authority's certificate "${folder}": it is a folder`,
  });
});

test('readServerTls() names a file that holds something else', () => {
  const path = fileOf('rubbish.pem', 'no certificate\n');
  for (const [flag, what] of [
    ['tlscert', 'certificate'],
    ['tlskey', 'key'],
    ['tlscacert', "authority's certificate"],
  ] as const) {
    assert.throws(() => readServerTls(options(good, { [flag]: path }), noLog), {
      message: `Cannot use the ${what} "${path}": there is none in PEM form in this file`,
    });
  }
});

test('readServerTls() says that a key is locked, and how that is undone', () => {
  const locked = join(authority.folder, 'locked.pem');
  execFileSync('openssl', ['pkey', '-in', join(good, 'key.pem'), '-aes256', '-passout', 'pass:x', '-out', locked]);
  assert.throws(
    () => readServerTls(options(good, { tlskey: locked }), noLog),
    /^Error: Cannot use the key ".*locked\.pem": it is locked by a passphrase, "openssl pkey" takes that off$/,
  );
});

test('readServerTls() names key and certificate that do not belong together', () => {
  const other = join(authority.sign('other'), 'key.pem');
  assert.throws(() => readServerTls(options(good, { tlskey: other }), noLog), {
    message: `Cannot use the key "${other}": it does not belong to the certificate "${good}/cert.pem", give the two that were made together`,
  });
});

test('readServerTls() takes an expired certificate, and says so; readClientTls() does not', () => {
  const expired = authority.sign('expired', { isExpired: true });
  const lines: string[] = [];
  readServerTls(options(expired), (line) => void lines.push(line));
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? '',
    /^Cannot use the certificate ".*": it has expired \(.*\), have a new one signed; clients /,
  );
  assert.throws(() => readClientTls(options(expired)), /cert\.pem": it has expired \(.*\), have a new one signed$/);
});

test('readClientTls() needs no certificate of its own, unless one is named', () => {
  const folder = join(authority.folder, 'client');
  mkdirSync(folder);
  execFileSync('cp', [authority.file('ca.pem'), folder]);
  assert.deepEqual(Object.keys(readClientTls(options(folder))), ['ca']);
  assert.throws(() => readClientTls(options(folder, { tlscert: '/nosuch' })), /Cannot read the certificate "\/nosuch"/);
  // Half of a pair is a mistake.
  execFileSync('cp', [join(good, 'cert.pem'), folder]);
  assert.throws(
    () => readClientTls(options(folder)),
    /Cannot read the key ".*\/client\/key\.pem": there is no such file/,
  );
});

test('readClientTls() checks nobody without tlsverify, and says so by having no authority', () => {
  assert.deepEqual(Object.keys(readClientTls(options(good, { tls: true, tlsverify: false }))), ['cert', 'key']);
});
