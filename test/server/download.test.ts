// What `pull` reads from web servers that do not do as they should.

import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { download } from '../../src/server/download.js';
import { until } from '../harness.js';

const IDLE_MS = 300;
const gone = new AbortController().signal;

/** A web server that answers so: its address. It ends with its test. */
async function serve(t: TestContext, answer: (response: ServerResponse) => void): Promise<string> {
  const server: Server = createServer((_request, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`; // it listens on TCP
}

test('download() fails where nothing more comes, and says so', { timeout: 60_000 }, async (t) => {
  const url = await serve(t, (response) => void response.writeHead(200, { 'content-length': 10 }).write('begin'));
  const body = await download(url, gone, IDLE_MS);
  await assert.rejects(buffer(body), /^Error: the server has sent nothing for 0\.3 seconds$/);
  await until(() => body.destroyed, 'the connection is closed');
});

test('download() waits for one who sends a byte now and then', { timeout: 60_000 }, async (t) => {
  let left = 8;
  const url = await serve(t, (response) => {
    const timer = setInterval(() => {
      response.write('x');
      if (--left > 0) return;
      clearInterval(timer);
      response.end();
    }, 400);
  });
  assert.equal((await buffer(await download(url, gone, 3_000))).toString(), 'x'.repeat(8));
});

test('download() does not take a reader that is slow for a server that is silent', { timeout: 60_000 }, async (t) => {
  const url = await serve(t, (response) => void response.end(Buffer.alloc(4 * 1024 * 1024)));
  const idleMs = 1_000; // while it reads, a busy machine may keep it waiting for a part of that
  const body = await download(url, gone, idleMs);
  await until(() => body.readableLength > 0, 'something has come');
  const readAt = performance.now() + 2.5 * idleMs;
  await until(() => performance.now() > readAt, 'some time has gone by');
  assert.equal((await buffer(body)).length, 4 * 1024 * 1024);
});
