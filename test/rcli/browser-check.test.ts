// What a browser may ask, by all that it says of a request. A real one asks in test/server/browser.daemon.test.ts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { foreignness, type BrowserRequest } from '../../src/rcli/browser-check.js';

const PORT = 8080;
const SELF = `127.0.0.1:${PORT}`;

function ask(headers: Record<string, string | string[]>, changes: Partial<BrowserRequest> = {}): string {
  const lists = Object.fromEntries(
    Object.entries({ host: SELF, ...headers }).map(([name, value]) => [name, [value].flat()]),
  );
  const request = {
    target: '/ps',
    method: 'GET',
    headers: lists,
    localAddress: '192.0.2.1',
    localPort: PORT,
    isEncrypted: false,
    ...changes,
  };
  return foreignness(request, ['teacher.lan']) ?? 'welcome';
}

test('foreignness() answers for every name of this machine', () => {
  for (const name of [
    'localhost',
    'LocalHost',
    '127.0.0.1',
    '127.9.9.9',
    '[::1]',
    '192.0.2.1',
    'teacher.lan',
    'TEACHER.lan',
  ]) {
    assert.equal(ask({ host: name }), 'welcome', name);
    assert.equal(ask({ host: `${name}:${PORT}` }), 'welcome', name);
  }
  assert.equal(ask({ host: '192.0.2.1' }, { localAddress: '::ffff:192.0.2.1' }), 'welcome');
  assert.equal(ask({ host: '[2001:db8::1]' }, { localAddress: '2001:db8:0:0::1' }), 'welcome');
});

test('foreignness() answers for no other host: so a name that is led here by its owner gets nothing', () => {
  const foreign = [
    'evil.example',
    `evil.example:${PORT}`,
    'localhost.evil.example',
    'evil.localhost',
    '127.0.0.1.evil.example',
    `127.0.0.1:${PORT + 1}`,
    'localhost:80',
    '0.0.0.0',
    `0.0.0.0:${PORT}`,
    '[::]',
    '127.1',
    '2130706433',
    '192.0.2.2',
    '[::2]',
    '',
    ':8080',
    'a@127.0.0.1',
    '127.0.0.1/..',
    '127.0.0.1, evil.example',
    '[127.0.0.1]x',
  ];
  for (const host of foreign) assert.match(ask({ host }), /^Cannot answer for the host "/, host);
});

test('foreignness() takes one Host, and of the request line no other', () => {
  assert.equal(ask({ host: [SELF, SELF] }), 'Cannot answer a request with several Host headers');
  assert.match(ask({ host: [SELF, 'evil.example'] }), /^Cannot answer for the host "evil.example"/);
  assert.match(ask({}, { target: 'http://evil.example/ps' }), /^Cannot answer for the host "evil.example"/);
  assert.match(ask({}, { target: 'http://evil.example?/ps' }), /^Cannot answer for the host "evil.example"/);
  assert.match(ask({}, { target: 'http://u@127.0.0.1/ps' }), /^Cannot answer for the host/);
  assert.equal(ask({}, { target: `http://${SELF}/ps` }), 'welcome');
  assert.equal(ask({ host: [] }), 'welcome', 'HTTP/1.0, which no browser speaks');
  assert.match(ask({ host: [], origin: `http://${SELF}` }), /^Cannot do what another page asks/);
});

test('foreignness() refuses what a page of somebody else wants', () => {
  for (const name of ['origin', 'referer']) {
    for (const url of [
      'http://evil.example',
      'http://evil.example/127.0.0.1:8080',
      'null',
      '',
      'about:blank',
      `https://${SELF}`,
      `http://127.0.0.1:${PORT + 1}`,
      'http://127.0.0.1',
      `http://localhost:${PORT}`,
      `http://${SELF}.evil.example/`,
      `http://${SELF}@evil.example/`,
      'file:///tmp/x.html',
    ]) {
      assert.match(ask({ [name]: url }), new RegExp(`^Cannot do what another page asks \\(its ${name} is `), url);
    }
  }
  assert.match(ask({ origin: [`http://${SELF}`, 'http://evil.example'] }), /another page/);
  for (const site of ['cross-site', 'same-site', '', 'Same-Origin, none']) {
    assert.match(ask({ 'sec-fetch-site': site }), /^Cannot do what another page asks \(sec-fetch-site is /, site);
  }
});

test('foreignness() lets the own page and the user do what they want', () => {
  for (const site of ['same-origin', 'none']) assert.equal(ask({ 'sec-fetch-site': site }), 'welcome');
  assert.equal(ask({ origin: `http://${SELF}`, referer: `http://${SELF}/web` }), 'welcome');
  assert.equal(ask({ host: 'teacher.lan', origin: 'http://teacher.lan' }, { localPort: 80 }), 'welcome');
  assert.equal(ask({ origin: `https://${SELF}`, referer: `https://${SELF}/` }, { isEncrypted: true }), 'welcome');
  assert.equal(ask({ 'user-agent': 'curl/8' }, { method: 'POST' }), 'welcome');
});

test('foreignness() lets a browser that does not say which page asks into the entrance alone', () => {
  const browser = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64)' };
  assert.equal(ask(browser, { target: '/web' }), 'welcome');
  for (const target of ['/run?q=base&q=true', '/web?q=x', '/web/run', '/']) {
    assert.match(ask(browser, { target }), /^Cannot tell which page asks: /, target);
  }
  assert.match(ask(browser, { target: '/web', method: 'POST' }), /^Cannot tell which page asks: /);
  assert.equal(ask({ ...browser, referer: `http://${SELF}/web` }), 'welcome');
  assert.equal(ask({ ...browser, 'sec-fetch-site': 'none' }), 'welcome');
});

test('foreignness() refuses a WebSocket, and lets other offers pass', () => {
  assert.equal(ask({ upgrade: 'websocket' }), 'Cannot speak WebSocket');
  assert.equal(ask({ upgrade: 'h2c, WebSocket' }), 'Cannot speak WebSocket');
  assert.equal(ask({ upgrade: 'h2c' }), 'welcome');
});

test('foreignness() shows what it refuses on one line, and not without end', () => {
  const reply = ask({ host: `x\n${'y'.repeat(10_000)}` });
  assert.ok(!reply.includes('\n') && reply.length < 300, reply);
});
