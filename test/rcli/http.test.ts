// Calls over HTTP end to end, and what a request target means.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Calls } from '../../src/rcli/calls.js';
import type { Command } from '../../src/rcli/command.js';
import type { Service } from '../../src/rcli/dispatch.js';
import { createHttpServer, urlToCall } from '../../src/rcli/http.js';
import { writeTo, type ReplyStream } from '../../src/rcli/reply.js';

const DEADLINE_MS = 30_000;

class Commands implements Service {
  readonly commands: readonly Command[] = [];
  isHangOver = false;

  async CmdEcho(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    stdout.write(`${JSON.stringify(args)}\n`);
  }

  async CmdCat(stdin: Readable, stdout: ReplyStream): Promise<void> {
    for await (const piece of stdin) await writeTo(stdout, piece as Buffer); // a request's pieces are buffers
  }

  async CmdFail(): Promise<void> {
    throw new Error('why');
  }

  async CmdPrint(_stdin: Readable, stdout: ReplyStream, text = ''): Promise<void> {
    stdout.write(text);
  }

  /** Prints until the caller goes away. */
  async CmdPour(_stdin: Readable, stdout: ReplyStream): Promise<void> {
    for (;;) await writeTo(stdout, Buffer.alloc(64 * 1024, 'x'));
  }

  async CmdHang(_stdin: Readable, stdout: ReplyStream): Promise<void> {
    stdout.write('ready\n');
    await new Promise<void>((resolve) => stdout.gone.addEventListener('abort', () => resolve(), { once: true }));
    this.isHangOver = true;
  }
}

interface Answer {
  status: number | undefined;
  headers: IncomingHttpHeaders;
  body: string;
}

interface TestServer {
  port: number;
  service: Commands;
  log: string[];
  agent: Agent;
  ask: (target: string, method?: string, body?: string) => Promise<Answer>;
}

async function serve(t: TestContext): Promise<TestServer> {
  const service = new Commands();
  const log: string[] = [];
  const calls = new Calls(service, (line) => log.push(line));
  const server = createHttpServer(calls, (line) => log.push(line));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  t.after(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  const ask = async (target: string, method = 'GET', body?: string): Promise<Answer> => {
    const sent = request({ host: '127.0.0.1', port, path: target, method, agent });
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage]; // node:http documents the argument
    let text = '';
    for await (const chunk of response) text += String(chunk);
    return { status: response.statusCode, headers: response.headers, body: text };
  };
  return { port, service, log, agent, ask };
}

test('urlToCall() takes the last element of the path for the command', () => {
  assert.deepEqual(urlToCall('/ps'), ['ps']);
  assert.deepEqual(urlToCall('/a/b/ps'), ['ps']);
  assert.deepEqual(urlToCall('//ps'), ['ps']);
  assert.deepEqual(urlToCall('/ps/'), ['ps']);
  assert.deepEqual(urlToCall('/PS'), ['PS']);
  assert.deepEqual(urlToCall('http://host:80/x/ps?q=-a'), ['ps', '-a']);
});

test('urlToCall() decodes the path before it is cut', () => {
  assert.deepEqual(urlToCall('/%70s'), ['ps']);
  assert.deepEqual(urlToCall('/a%2Fps'), ['ps']);
  assert.deepEqual(urlToCall('/gr%C3%B6%C3%9Fe'), ['größe']);
  assert.deepEqual(urlToCall('/a+b'), ['a+b']);
});

test('urlToCall() takes each q for an argument, in order, and nothing else', () => {
  assert.deepEqual(urlToCall('/run?q=-a&x=1&q=base&q=/bin/ls'), ['run', '-a', 'base', '/bin/ls']);
  assert.deepEqual(urlToCall('/run?q=&q&Q=x&qq=x'), ['run', '', '']);
  assert.deepEqual(urlToCall('/run?'), ['run']);
});

test('urlToCall() decodes arguments: plus is a space, the first equals sign ends the key', () => {
  assert.deepEqual(urlToCall('/x?q=a+b%2Bc%26d%3De&q=a=b'), ['x', 'a b+c&d=e', 'a=b']);
  assert.deepEqual(urlToCall('/x?%71=y&q=%E2%82%AC'), ['x', 'y', '€']);
  assert.deepEqual(urlToCall('/x?q=a?b'), ['x', 'a?b']);
});

test('urlToCall() passes over what is badly escaped', () => {
  assert.deepEqual(urlToCall('/x?q=%zz&q=ok&q=%ff&%zz=1'), ['x', 'ok']);
  assert.deepEqual(urlToCall('/%zz'), ['%zz']);
});

test('createHttpServer() answers by command and arguments, for any method', async (t) => {
  const server = await serve(t);
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const { status, body } = await server.ask('/v1/echo?q=a&q=b+c', method);
    assert.deepEqual([status, body], [200, '["a","b c"]\n'], method);
  }
  assert.match(server.log[0] ?? '', /^http 127\.0\.0\.1:\d+ echo a "b c" \(\d+ ms\): ok$/);
});

test('createHttpServer() makes the body stdin', async (t) => {
  const server = await serve(t);
  assert.equal((await server.ask('/cat', 'POST', 'größe\n')).body, 'größe\n');
  const large = 'x'.repeat(3_000_000);
  assert.ok((await server.ask('/cat', 'PUT', large)).body === large);
});

test('createHttpServer() puts an error into the body of a 200', async (t) => {
  const server = await serve(t);
  assert.deepEqual((({ status, body }) => ({ status, body }))(await server.ask('/fail')), {
    status: 200,
    body: 'Error: why\n',
  });
  assert.equal((await server.ask('/nothing')).body, 'Error: No such command: nothing\n');
});

test('createHttpServer() guesses the content type, and names none for an empty reply', async (t) => {
  const server = await serve(t);
  const typeOf = async (text: string): Promise<string | undefined> =>
    (await server.ask(`/print?q=${encodeURIComponent(text)}`)).headers['content-type'];
  assert.equal(await typeOf('plain'), 'text/plain; charset=utf-8');
  assert.equal(await typeOf('<html>'), 'text/html; charset=utf-8');
  assert.equal(await typeOf('\0'), 'application/octet-stream');
  assert.equal(await typeOf(''), undefined);
});

test('createHttpServer() answers HEAD without a body', async (t) => {
  const server = await serve(t);
  const { status, body } = await server.ask('/echo?q=x', 'HEAD');
  assert.deepEqual([status, body], [200, '']);
  assert.equal((await server.ask('/echo')).body, '[]\n', 'the connection is good for the next call');
});

test('createHttpServer() keeps the connection for the next call, also after a body that nobody read', async (t) => {
  const server = await serve(t);
  const ports = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const { body } = await server.ask('/echo', 'POST', 'y'.repeat(200_000));
    assert.equal(body, '[]\n');
  }
  for (const line of server.log) ports.add(/127\.0\.0\.1:\d+/.exec(line)?.[0] ?? '');
  assert.equal(ports.size, 1);
});

test('createHttpServer() sends output as it comes', async (t) => {
  const server = await serve(t);
  const sent = request({ host: '127.0.0.1', port: server.port, path: '/cat', method: 'POST' });
  sent.on('error', () => undefined);
  t.after(() => sent.destroy());
  sent.write('first');
  const [response] = (await once(sent, 'response')) as [IncomingMessage]; // node:http documents the argument
  const [chunk] = (await once(response, 'data')) as [Buffer]; // a response without an encoding yields buffers
  assert.equal(chunk.toString(), 'first');
  sent.end();
  await once(response, 'end');
});

test('createHttpServer() ends what waits on behalf of a caller that goes away', async (t) => {
  const server = await serve(t);
  const sent = request({ host: '127.0.0.1', port: server.port, path: '/hang' });
  sent.on('error', () => undefined);
  sent.end();
  await once(sent, 'response');
  sent.destroy();
  const deadline = performance.now() + DEADLINE_MS;
  while (!server.service.isHangOver || server.log.length === 0) {
    assert.ok(performance.now() < deadline, 'the command was not told');
    await sleep(5);
  }
});

for (const [what, leave] of [
  ['goes away', (socket: Socket) => socket.destroy()],
  ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
  ['sends on what is no request', (socket: Socket) => socket.write('no request\r\n\r\n')],
] as const) {
  test(`createHttpServer() ends what writes for a caller that ${what}, and puts nothing into its answer`, async (t) => {
    const server = await serve(t);
    const times = 20;
    let heard = '';
    for (let time = 0; time < times; time++) {
      const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
      socket.write('GET /pour HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await once(socket, 'data');
      socket.on('data', (piece: Buffer) => (heard += piece.toString('latin1')));
      await sleep(time / 4); // at another place of the answer each time
      leave(socket);
    }
    const deadline = performance.now() + DEADLINE_MS;
    while (server.log.length < times) {
      assert.ok(performance.now() < deadline, `${server.log.length} of ${times} calls have ended`);
      await sleep(5);
    }
    assert.ok(
      server.log.every((line) => line.endsWith('the caller went away')),
      server.log.join('\n'),
    );
    assert.doesNotMatch(heard, /HTTP|Error/);
  });
}

test('createHttpServer() puts nothing into the later answer on a connection either, where no request follows', async (t) => {
  const server = await serve(t);
  const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
  t.after(() => socket.destroy());
  let heard = '';
  socket.on('data', (piece: Buffer) => {
    heard += piece.toString('latin1');
    if (heard.includes('ready')) socket.write('no request\r\n\r\n');
  });
  const closed = once(socket, 'close');
  // Both in one piece: the first answer is at its end when the second is being given.
  for (const command of ['echo', 'hang']) socket.write(`GET /${command} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await closed;
  assert.deepEqual(heard.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200']);
});

test('createHttpServer() takes a request of HTTP 1.0 and closes after it', async (t) => {
  const server = await serve(t);
  const socket = connect({ host: '127.0.0.1', port: server.port });
  socket.write('GET /echo?q=old HTTP/1.0\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
  assert.ok(text.endsWith('\r\n\r\n["old"]\n'), JSON.stringify(text));
});
