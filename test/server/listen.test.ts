// Addresses to listen on, and who has a port that is taken.

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import test, { type TestContext } from 'node:test';
import { checkFree, listen } from '../../src/server/listen.js';
import { showAddress } from '../../src/util/address.js';

const servers = new WeakMap<TestContext, Server[]>();

/** A server that is closed after the test. */
function newServer(t: TestContext): Server {
  const server = createServer();
  servers.set(t, [...(servers.get(t) ?? []), server]);
  t.after(() => server.close());
  return server;
}

test('listen() resolves with the address as it came out', async (t) => {
  const { host, port } = await listen(newServer(t), { host: 'localhost', port: 0 });
  assert.ok(host === '127.0.0.1' || host === '::1', host);
  assert.ok(port > 0);
});

test('listen() names the process that has the port', async (t) => {
  const bound = await listen(newServer(t), { host: '127.0.0.1', port: 0 });
  await assert.rejects(listen(newServer(t), bound), (error: Error) => {
    const start = `Cannot listen on ${showAddress(bound)}: the port is in use by process ${process.pid} (`;
    assert.ok(error.message.startsWith(start), error.message);
    return true;
  });
});

test('checkFree() leaves the addresses free', async (t) => {
  const free = await listen(newServer(t), { host: '127.0.0.1', port: 0 });
  const [server] = servers.get(t) ?? [];
  await new Promise((resolve) => server?.close(resolve));
  await checkFree([free]);
  await checkFree([free]);
});

test('checkFree() refuses addresses that are in the way of each other, and leaves the first free', async (t) => {
  const bound = await listen(newServer(t), { host: '127.0.0.1', port: 0 });
  const [server] = servers.get(t) ?? [];
  await new Promise((resolve) => server?.close(resolve));
  await assert.rejects(checkFree([bound, { host: '0.0.0.0', port: bound.port }]), /the port is in use by process/);
  assert.deepEqual(await listen(newServer(t), bound), bound);
});

test('listen() says why it cannot listen on an address that is not this machine', async (t) => {
  await assert.rejects(
    listen(newServer(t), { host: '192.0.2.1', port: 0 }),
    /^Error: Cannot listen on 192\.0\.2\.1:0: .*(address not available|EADDRNOTAVAIL)/,
  );
});
