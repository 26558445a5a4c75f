// Which name servers a container gets.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { containerResolvConf, readResolvConf } from '../../src/network/resolv-conf.js';

const STUB = '# of systemd\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n';
const UPSTREAM = 'nameserver 192.0.2.1\nnameserver fe80::1%2\nnameserver 192.0.2.2\nsearch other.example\n';

test('containerResolvConf() changes nothing where every server can be reached', () => {
  for (const text of [
    'nameserver 192.0.2.1\nsearch example.org\n',
    '# a comment\n\n; another\noptions ndots:2\nnameserver\t192.0.2.1\nnameserver 198.51.100.7',
    'nameserver 192.0.2.1 # nameserver 127.0.0.1\n#nameserver 127.0.0.1\n nameserver 127.0.0.1\n',
  ])
    assert.deepEqual(containerResolvConf(text, UPSTREAM), { text, replaced: [], usedFallback: false });
});

test('containerResolvConf() takes out what is another one inside, and what only IPv6 leads to', () => {
  for (const server of ['127.0.0.1', '127.0.0.53', '127.255.0.1', '0.0.0.0', '::1', 'fe80::1%eth0', '2001:db8::1'])
    assert.deepEqual(containerResolvConf(`nameserver ${server}\nnameserver 192.0.2.1\nsearch a b\n`, UPSTREAM), {
      text: 'nameserver 192.0.2.1\nsearch a b\n',
      replaced: [server],
      usedFallback: false,
    });
});

test('containerResolvConf() takes the servers that systemd-resolved asks, and keeps the rest', () => {
  assert.deepEqual(containerResolvConf(STUB, UPSTREAM), {
    text: '# of systemd\noptions edns0 trust-ad\nsearch example.org\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n',
    replaced: ['127.0.0.53'],
    usedFallback: false,
  });
});

test('containerResolvConf() takes public servers where nothing else is known', () => {
  const servers = 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n';
  for (const upstream of [undefined, '', 'search a\n', 'nameserver 127.0.0.1\n'])
    assert.deepEqual(containerResolvConf('search b\nnameserver ::1', upstream), {
      text: `search b\n${servers}`,
      replaced: ['::1'],
      usedFallback: true,
    });
  assert.deepEqual(containerResolvConf('', undefined), { text: servers, replaced: [], usedFallback: true });
});

test('readResolvConf() reads the file of systemd-resolved only where the host names no other server', (t) => {
  const [host, upstream] = [temporaryFile(t, 'host'), temporaryFile(t, 'upstream')];
  writeFileSync(upstream, UPSTREAM);
  for (const [hostText, upstreamText] of [
    [STUB, UPSTREAM],
    ['search a\n', UPSTREAM],
    [`${STUB}nameserver 192.0.2.9\n`, undefined],
  ] as const) {
    writeFileSync(host, hostText);
    assert.deepEqual(readResolvConf(host, upstream), { hostText, upstreamText });
  }
});

test('readResolvConf() takes a missing file for an empty one', (t) => {
  const missing = temporaryFile(t, 'missing');
  assert.deepEqual(readResolvConf(missing, missing), { hostText: '', upstreamText: undefined });
});

test('readResolvConf() says what it cannot read', (t) => {
  const file = join(temporaryFile(t, 'file'), '..');
  assert.throws(
    () => readResolvConf(file),
    (error: Error) => {
      return error.message.startsWith(`Cannot read "${file}": EISDIR: illegal operation on a directory, read`);
    },
  );
});

function temporaryFile(t: TestContext, name: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-resolv-conf-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return join(folder, name);
}
