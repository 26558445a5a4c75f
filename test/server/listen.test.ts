// Addresses to listen on, and who has a port that is taken.

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import test, { type TestContext } from 'node:test';
import { listen, parseAddress } from '../../src/server/listen.js';

/** A server that is closed after the test. */
function newServer(t: TestContext): Server {
  const server = createServer();
  t.after(() => server.close());
  return server;
}

test('parseAddress() takes host and port, and this machine where no host is named', () => {
  assert.deepEqual(parseAddress('0.0.0.0:4242'), { host: '0.0.0.0', port: 4242 });
  assert.deepEqual(parseAddress('localhost:0'), { host: 'localhost', port: 0 });
  assert.deepEqual(parseAddress(':80'), { host: '127.0.0.1', port: 80 });
  assert.deepEqual(parseAddress('[::1]:65535'), { host: '::1', port: 65_535 });
});

test('parseAddress() refuses what is no address, and quotes it', () => {
  for (const text of [
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
  ])
    assert.throws(() => parseAddress(text), { message: `Invalid address "${text}": expected HOST:PORT` }, text);
});

test('listen() resolves with the address as it came out', async (t) => {
  assert.match(await listen(newServer(t), { host: '127.0.0.1', port: 0 }), /^127\.0\.0\.1:[1-9]\d*$/);
});

test('listen() names the process that has the port', async (t) => {
  const bound = await listen(newServer(t), { host: '127.0.0.1', port: 0 });
  await assert.rejects(listen(newServer(t), parseAddress(bound)), (error: Error) => {
    assert.ok(
      error.message.startsWith(`Cannot listen on ${bound}: the port is in use by process ${process.pid} (`),
      error.message,
    );
    return true;
  });
});

test('listen() says why it cannot listen on an address that is not this machine', async (t) => {
  await assert.rejects(
    listen(newServer(t), { host: '192.0.2.1', port: 0 }),
    /^Error: Cannot listen on 192\.0\.2\.1:0: .*(address not available|EADDRNOTAVAIL)/,
  );
});
