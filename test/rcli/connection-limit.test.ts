// More connections than there may be: told so in their own form, on both ports, and the others are not hindered.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Calls } from '../../src/rcli/calls.js';
import type { Command } from '../../src/rcli/command.js';
import { ConnectionLimit } from '../../src/rcli/connection-limit.js';
import type { Service } from '../../src/rcli/dispatch.js';
import { FrameDecoder, FrameType } from '../../src/rcli/frames.js';
import { createHttpServer } from '../../src/rcli/http.js';
import type { ReplyStream } from '../../src/rcli/reply.js';
import { createTcpServer } from '../../src/rcli/tcp.js';

const MOST = 3;
const REFUSED = `Error: Too many connections: at most ${MOST} are allowed at once\n`;
const NO_FILES = 'Error: Too many open files: no more connections are taken until some are closed\n';
const DEADLINE_MS = 30_000;
/** 64 of them are heard at a time, for a second; those over HTTP say nothing, and are told nothing. */
const MANY = 400;

class Commands implements Service {
  readonly commands: readonly Command[] = [];

  async CmdEcho(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    stdout.write(`${args.join(' ')}\n`);
  }
}

interface Servers {
  log: string[];
  files: { left: boolean };
  tcp: () => Promise<Socket>;
  http: () => Promise<Socket>;
}

/** Both servers with one limit. */
async function serve(t: TestContext): Promise<Servers> {
  const log: string[] = [];
  const files = { left: true };
  const calls = new Calls(new Commands(), () => undefined);
  const limit = new ConnectionLimit({ most: MOST, hasFilesLeft: () => files.left, log: (line) => log.push(line) });
  const sockets = new Set<Socket>();
  const open = async (server: Server): Promise<Socket> => {
    const { port } = server.address() as AddressInfo; // a TCP server that listens has one
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.add(socket);
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    return socket;
  };
  const servers = [
    createTcpServer(calls, { name: 'tsdock', version: '0' }, () => undefined, limit),
    createHttpServer(calls, () => undefined, limit),
  ] as const;
  for (const server of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  }
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });
  return { log, files, tcp: () => open(servers[0]), http: () => open(servers[1]) };
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => socket.destroy(), DEADLINE_MS);
  await once(socket, 'end');
  clearTimeout(timer);
  socket.destroy();
  return Buffer.concat(chunks);
}

async function ask(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  return (await readAll(socket)).toString();
}

/** So many idle connections as there may be. */
async function fill({ tcp, http }: Servers): Promise<Socket[]> {
  return [await tcp(), await http(), await tcp()];
}

const CALL = '["echo","hello"]\n';
const FRAMED = '{"frames":1,"args":["echo","hello"]}\n';
const REQUEST = 'GET /echo?q=hello HTTP/1.0\r\nHost: localhost\r\n\r\n';

test('ConnectionLimit: one connection more is refused in its own form, and an idle one too', async (t) => {
  const servers = await serve(t);
  await fill(servers);
  assert.equal(await ask(await servers.tcp(), CALL), REFUSED);
  const socket = await servers.tcp();
  socket.write(FRAMED);
  const frames = [...new FrameDecoder().push(await readAll(socket))];
  assert.deepEqual(
    frames.map(({ type, payload }) => [type, payload.toString()]),
    [
      [FrameType.hello, '{"name":"tsdock","version":"0"}'],
      [FrameType.stderr, REFUSED],
      [FrameType.status, '{"status":1}'],
    ],
  );
  const page = await ask(await servers.http(), REQUEST);
  assert.match(page, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
  assert.equal(page.split('\r\n\r\n')[1], REFUSED);
  assert.equal((await readAll(await servers.tcp())).toString(), REFUSED, 'one that says nothing');
  assert.deepEqual(servers.log, [`refusing connections: ${REFUSED.slice('Error: '.length).trim()}`], 'told once');
});

test('ConnectionLimit: many more are refused at once, without being heard', async (t) => {
  const servers = await serve(t);
  await fill(servers);
  const many = await Promise.all(
    Array.from({ length: MANY }, (_, i) => (i % 2 === 0 ? servers.tcp() : servers.http())),
  );
  const replies = await Promise.all(many.map(readAll));
  assert.equal(replies.filter((reply) => reply.toString() === REFUSED).length, MANY / 2);
  const told = replies.filter((reply) =>
    /^HTTP\/1\.1 503 [^]*\r\n\r\nError: Too many connections/.test(reply.toString()),
  );
  assert.ok(told.length > 50, `${told.length} over HTTP`);
});

test('ConnectionLimit takes connections again once others are closed', async (t) => {
  const servers = await serve(t);
  for (let i = 0; i < 3; i++) {
    const open = await fill(servers);
    assert.equal(await ask(await servers.tcp(), CALL), REFUSED);
    for (const socket of open) socket.destroy();
    const deadline = performance.now() + DEADLINE_MS;
    for (let reply = ''; reply !== 'hello\n'; await sleep(5)) {
      assert.ok(performance.now() < deadline, reply);
      reply = await ask(await servers.tcp(), CALL);
    }
    assert.match(await ask(await servers.http(), REQUEST), /\r\n\r\nhello\n$/);
  }
});

test('ConnectionLimit refuses where no open files are left, at once', async (t) => {
  const servers = await serve(t);
  servers.files.left = false;
  assert.equal((await readAll(await servers.tcp())).toString(), NO_FILES);
  assert.match(
    (await readAll(await servers.http())).toString(),
    /^HTTP\/1\.1 503 [^]*\r\n\r\nError: Too many open files/,
  );
  servers.files.left = true;
  assert.equal(await ask(await servers.tcp(), CALL), 'hello\n');
});

test('HTTP server answers a request line that is too long, and too many words, with one line', async (t) => {
  const { http } = await serve(t);
  const long = await ask(await http(), `GET /echo?q=${'x'.repeat(70_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  assert.match(
    long,
    /^HTTP\/1\.1 431 [^]*\r\n\r\nError: Request too long: at most 65536 bytes are allowed before its body\n$/,
  );
  const many = await ask(await http(), `GET /echo?${'q=&'.repeat(10_001)} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
  assert.match(many, /\r\n\r\nError: Invalid call: 10002 words, at most 10000 are allowed\n$/);
  const nonsense = await ask(await http(), '["ps"]\n');
  assert.match(nonsense, /^HTTP\/1\.1 400 Bad Request\r\n[^]*\r\n\r\nError: Invalid request: [^\n]+\n$/);
});

test('HTTP server cuts a connection that has had its answer and asks no more', async (t) => {
  const { http } = await serve(t);
  const startedAt = performance.now();
  const reply = await ask(await http(), 'GET /echo?q=hello HTTP/1.1\r\nHost: localhost\r\n\r\n');
  assert.match(reply, /hello/);
  assert.ok(performance.now() - startedAt > 3_000);
});
