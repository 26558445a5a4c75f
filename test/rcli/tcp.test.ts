// Calls over TCP end to end: a small service on a port of its own, real sockets, 2013 calls and framed ones.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Calls } from '../../src/rcli/calls.js';
import type { Command } from '../../src/rcli/command.js';
import type { Service } from '../../src/rcli/dispatch.js';
import { encodeFrame, FrameDecoder, FrameType, type Frame } from '../../src/rcli/frames.js';
import { writeTo, type ReplyStream } from '../../src/rcli/reply.js';
import { createTcpServer } from '../../src/rcli/tcp.js';

const HELLO = { name: 'tsdock', version: '0.0.0-test' };
const DEADLINE_MS = 30_000;

class Commands implements Service {
  readonly commands: readonly Command[] = [];
  ended: string[] = [];
  signals: string[] = [];

  async CmdEcho(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    stdout.write(`${JSON.stringify(args)}\n`);
  }

  async CmdCat(stdin: Readable, stdout: ReplyStream): Promise<void> {
    for await (const piece of stdin) await writeTo(stdout, piece as Buffer); // a socket's pieces are buffers
  }

  async CmdFail(_stdin: Readable, stdout: ReplyStream): Promise<void> {
    stdout.write('out\n');
    stdout.stderr.write('err\n');
    throw new Error('rm 100%: kein Gerät');
  }

  async CmdStatus(_stdin: Readable, stdout: ReplyStream, status = ''): Promise<void> {
    stdout.status = Number(status);
  }

  async CmdFlood(_stdin: Readable, stdout: ReplyStream, bytes = ''): Promise<void> {
    for (let left = Number(bytes); left > 0; left -= 65_536)
      await writeTo(stdout, Buffer.alloc(Math.min(left, 65_536)));
  }

  async CmdHang(_stdin: Readable, stdout: ReplyStream): Promise<void> {
    stdout.write('ready\n');
    await new Promise<void>((resolve) => stdout.gone.addEventListener('abort', () => resolve(), { once: true }));
    this.ended.push('hang');
  }

  /** Tells what it hears of its caller, until its input is over. */
  async CmdEvents(stdin: Readable, stdout: ReplyStream): Promise<void> {
    stdout.write(`${JSON.stringify(stdout.terminal ?? null)}\n`);
    stdout.onWindow(({ rows, cols }) => stdout.write(`window ${rows}x${cols}\n`));
    stdout.onSignal((signal) => stdout.write(`signal ${signal}\n`));
    stdout.onSignal((signal) => this.signals.push(signal));
    stdin.resume();
    await once(stdin, 'close');
  }
}

interface TestServer {
  service: Commands;
  calls: Calls;
  log: string[];
  open: () => Promise<Socket>;
}

async function serve(t: TestContext): Promise<TestServer> {
  const service = new Commands();
  const log: string[] = [];
  const calls = new Calls(service, (line) => log.push(line));
  const server = createTcpServer(calls, HELLO, (line) => log.push(line));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const open = async (): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    sockets.add(socket);
    return socket;
  };
  return { service, calls, log, open };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await sleep(5);
  }
}

/** All that comes until the other side ends. */
async function readAll(socket: Socket): Promise<Buffer> {
  const timer = setTimeout(() => socket.destroy(new Error('the reply has no end')), DEADLINE_MS);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer); // a socket without an encoding yields buffers
  clearTimeout(timer);
  return Buffer.concat(chunks);
}

/** A 2013 call: the line, input, half-close; the whole reply. */
async function plainCall(server: TestServer, words: string[], input = ''): Promise<string> {
  const socket = await server.open();
  socket.end(`${JSON.stringify(words)}\n${input}`);
  return (await readAll(socket)).toString();
}

/** A framed call that has been answered: text a stream, the status, and the types in order. */
async function readFrames(socket: Socket): Promise<{ out: string; err: string; status: unknown; frames: Frame[] }> {
  const frames = [...new FrameDecoder().push(await readAll(socket))];
  const text = (wanted: number): string =>
    frames.flatMap(({ type, payload }) => (type === wanted ? [payload.toString()] : [])).join('');
  const status = text(FrameType.status);
  return {
    out: text(FrameType.stdout),
    err: text(FrameType.stderr),
    status: status === '' ? undefined : JSON.parse(status),
    frames,
  };
}

async function openFramed(server: TestServer, args: string[], more: object = {}): Promise<Socket> {
  const socket = await server.open();
  socket.write(`${JSON.stringify({ frames: 1, args, ...more })}\n`);
  return socket;
}

const END_OF_INPUT = encodeFrame(FrameType.stdin, '');

test('createTcpServer() answers a 2013 call and closes', async (t) => {
  const server = await serve(t);
  assert.equal(await plainCall(server, ['echo', 'a', 'größe']), '["a","größe"]\n');
  assert.match(server.log[0] ?? '', /^tcp 127\.0\.0\.1:\d+ echo a /);
});

test('createTcpServer() closes when the command ends, without waiting for the half-close', async (t) => {
  const server = await serve(t);
  const socket = await server.open();
  socket.write('["echo"]\n');
  assert.equal((await readAll(socket)).toString(), '[]\n');
});

test('createTcpServer() hands what follows the line to the command, up to the half-close', async (t) => {
  const server = await serve(t);
  assert.equal(await plainCall(server, ['cat'], 'one\ntwo'), 'one\ntwo');
  assert.equal(await plainCall(server, ['cat']), '');
});

test('createTcpServer() passes a large input through without losing a byte', async (t) => {
  const server = await serve(t);
  const input = 'abcdefghij'.repeat(400_000);
  assert.ok((await plainCall(server, ['cat'], input)) === input);
});

test('createTcpServer() sends output that comes before the input ends', async (t) => {
  const server = await serve(t);
  const socket = await server.open();
  socket.write('["cat"]\nfirst');
  const [chunk] = (await once(socket, 'data')) as [Buffer]; // a socket without an encoding yields buffers
  assert.equal(chunk.toString(), 'first');
  socket.end();
  await once(socket, 'end');
});

test('createTcpServer() puts stderr and the error line after what was printed, in one stream', async (t) => {
  const server = await serve(t);
  assert.equal(await plainCall(server, ['fail']), 'out\nerr\nError: rm 100%: kein Gerät\n');
});

test('createTcpServer() sends a whole reply to a caller that still sends input that nobody reads', async (t) => {
  const server = await serve(t);
  const socket = await server.open();
  socket.write('["flood","1000000"]\n');
  socket.write(Buffer.alloc(300_000));
  assert.equal((await readAll(socket)).length, 1_000_000);
});

test('createTcpServer() answers each kind of bad line by one error line, and goes on', async (t) => {
  const server = await serve(t);
  const answers: [string, RegExp][] = [
    ['["ps"', /^Error: EOF\n$/],
    ['', /^Error: EOF\n$/],
    ['hello\n', /^Error: Invalid call line: [^\n]+\n$/],
    ['{"args":["ps"]}\n', /^Error: Invalid call line: expected a JSON array of strings\n$/],
    ['{"frames":9,"args":[]}\n', /^Error: Invalid call line: frames version 9 is not known\n$/],
    ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', /^Error: Invalid call line: [^\n]+\n$/],
    ['["nothing"]\n', /^Error: No such command: nothing\n$/],
  ];
  for (const [bytes, expected] of answers) {
    const socket = await server.open();
    socket.end(bytes);
    assert.match((await readAll(socket)).toString(), expected);
  }
  assert.equal(await plainCall(server, ['echo']), '[]\n');
});

test('createTcpServer() refuses a line without end', async (t) => {
  const server = await serve(t);
  const socket = await server.open();
  socket.write(Buffer.alloc(1024 * 1024 + 2, 'x'));
  assert.equal((await readAll(socket)).toString(), 'Error: Call line too long: at most 1048576 bytes are allowed\n');
});

test('createTcpServer() ends what waits on behalf of a caller that goes away', async (t) => {
  const server = await serve(t);
  for (const leave of [(socket: Socket) => socket.resetAndDestroy(), (socket: Socket) => socket.destroy()]) {
    const socket = await server.open();
    socket.write('["hang"]\n');
    await once(socket, 'data');
    // Only input can tell of an orderly close: to the server it looks like a half-close at first.
    leave(socket);
    if (server.service.ended.length === 0) await until(() => server.service.ended.length > 0, 'the command was told');
  }
});

test('createTcpServer() survives a caller that resets in the middle of a reply', async (t) => {
  const server = await serve(t);
  const socket = await server.open();
  socket.write('["flood","100000000"]\n');
  await once(socket, 'data');
  socket.resetAndDestroy();
  await until(() => server.log.length > 0, 'the call is logged');
  assert.match(server.log[0] ?? '', /flood 100000000 \(\d+ ms\): the caller went away$/);
  assert.equal(await plainCall(server, ['echo']), '[]\n');
});

test('createTcpServer() keeps many callers apart', async (t) => {
  const server = await serve(t);
  const replies = await Promise.all(
    Array.from({ length: 50 }, (_, i) => plainCall(server, ['cat'], `caller ${i} `.repeat(1000))),
  );
  replies.forEach((reply, i) => assert.equal(reply, `caller ${i} `.repeat(1000)));
});

test('FramedConnection says hello first, then output by stream, and the status last', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['fail']);
  const { out, err, status, frames } = await readFrames(socket);
  assert.equal(frames[0]?.type, FrameType.hello);
  assert.deepEqual(JSON.parse(frames[0].payload.toString()), HELLO);
  assert.equal(frames.at(-1)?.type, FrameType.status);
  assert.deepEqual(
    { out, err, status },
    { out: 'out\n', err: 'err\nError: rm 100%: kein Gerät\n', status: { status: 1 } },
  );
});

test('FramedConnection says hello before the command prints anything', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['cat']);
  const [chunk] = (await once(socket, 'data')) as [Buffer]; // a socket without an encoding yields buffers
  assert.equal(chunk[0], FrameType.hello);
});

test('FramedConnection tells the status that the command sets', async (t) => {
  const server = await serve(t);
  const { status } = await readFrames(await openFramed(server, ['status', '137']));
  assert.deepEqual(status, { status: 137 });
});

test('FramedConnection makes frames stdin, up to the empty one', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['cat']);
  socket.write(Buffer.concat([encodeFrame(0, 'one '), encodeFrame(0, 'two'), END_OF_INPUT, encodeFrame(0, 'late')]));
  const { out, status } = await readFrames(socket);
  assert.equal(out, 'one two');
  assert.deepEqual(status, { status: 0 });
});

test('FramedConnection takes frames that come with the line, and byte by byte', async (t) => {
  const server = await serve(t);
  const socket = await server.open();
  socket.setNoDelay(true);
  const line = Buffer.from('{"frames":1,"args":["cat"]}\n');
  socket.write(Buffer.concat([line, encodeFrame(0, 'with the line ')]));
  for (const byte of Buffer.concat([encodeFrame(0, 'in bytes'), END_OF_INPUT]))
    await new Promise((resolve) => socket.write(Buffer.of(byte), resolve));
  assert.equal((await readFrames(socket)).out, 'with the line in bytes');
});

test('FramedConnection takes a half-close as the end of stdin', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['cat']);
  socket.end(encodeFrame(0, 'x'));
  const { out, status } = await readFrames(socket);
  assert.deepEqual([out, status], ['x', { status: 0 }]);
});

test('FramedConnection passes a large input through without losing a byte', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['cat']);
  const piece = Buffer.from('0123456789abcdef'.repeat(4096));
  for (let i = 0; i < 50; i++) socket.write(encodeFrame(0, piece));
  socket.write(END_OF_INPUT);
  assert.equal((await readFrames(socket)).out, piece.toString().repeat(50));
});

test('FramedConnection tells the command of the terminal, of new sizes and of signals', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['events'], { tty: { rows: 30, cols: 90, term: 'vt100' } });
  socket.write(encodeFrame(FrameType.window, '{"rows":40,"cols":100}'));
  socket.write(encodeFrame(FrameType.window, '{"rows":-1}'));
  socket.write(encodeFrame(FrameType.signal, '{"signal":"SIGINT"}'));
  socket.write(END_OF_INPUT);
  const { out } = await readFrames(socket);
  assert.equal(out, '{"rows":30,"cols":90,"term":"vt100"}\nwindow 40x100\nwindow 24x80\nsignal SIGINT\n');
});

test('FramedConnection answers bytes that are no frames by one error, and cuts the call', async (t) => {
  const server = await serve(t);
  const bad: [Buffer, RegExp][] = [
    [Buffer.of(9, 0, 0, 0, 0, 0, 0, 0), /^Error: Invalid frame: unknown type 9\n$/],
    [
      Buffer.of(0, 0, 0, 0, 255, 255, 255, 255),
      /^Error: Invalid frame: 4294967295 bytes claimed, 1048576 are allowed\n$/,
    ],
    [encodeFrame(FrameType.stdout, 'x'), /^Error: Invalid frame: type 1 goes to the client\n$/],
    [encodeFrame(FrameType.hello, '{}'), /^Error: Invalid frame: type 6 goes to the client\n$/],
    [encodeFrame(FrameType.signal, '{"signal":"SIGNOTHING"}'), /^Error: Invalid frame: unknown signal "SIGNOTHING"\n$/],
    [
      encodeFrame(FrameType.signal, '{"signal":"constructor"}'),
      /^Error: Invalid frame: unknown signal "constructor"\n$/,
    ],
    [encodeFrame(FrameType.signal, 'null'), /^Error: Invalid frame: expected a JSON object\n$/],
    [encodeFrame(FrameType.window, '{'), /^Error: [^\n]+\n$/],
  ];
  for (const [bytes, expected] of bad) {
    const socket = await openFramed(server, ['hang']);
    socket.write(bytes);
    const { err, frames } = await readFrames(socket);
    assert.match(err, expected);
    assert.equal(frames.filter(({ type }) => type === FrameType.stderr).length, 1, 'one error');
  }
  assert.equal(await plainCall(server, ['echo']), '[]\n');
});

test('FramedConnection tells the status 1 after bytes that are no frames', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['hang']);
  socket.write(Buffer.of(9, 0, 0, 0, 0, 0, 0, 0));
  assert.deepEqual((await readFrames(socket)).status, { status: 1 });
});

test('FramedConnection does what whole frames say before it refuses a bad one behind them', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['events']);
  const signal = encodeFrame(FrameType.signal, '{"signal":"SIGTERM"}');
  socket.write(Buffer.concat([signal, Buffer.of(99, 0, 0, 0, 0, 0, 0, 0)]));
  const { err } = await readFrames(socket);
  assert.deepEqual(server.service.signals, ['SIGTERM']);
  assert.match(err, /unknown type 99/);
});

test('FramedConnection ends what waits on behalf of a caller that goes away', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['hang']);
  await once(socket, 'data');
  socket.resetAndDestroy();
  await until(() => server.service.ended.length === 1, 'the command was told');
  await until(() => server.log.length === 1, 'the call is logged');
});

test('FramedConnection answers a call without words by the overview', async (t) => {
  const server = await serve(t);
  const { out, status } = await readFrames(await openFramed(server, []));
  assert.match(out, /^Usage: /);
  assert.deepEqual(status, { status: 0 });
});

test('FramedConnection lets the daemon keep no more than a bounded share of input that nobody reads', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['hang']);
  await once(socket, 'data');
  const piece = encodeFrame(0, Buffer.alloc(65_536));
  let sent = 0;
  let isFull = false;
  // Sent until the kernel's buffers on both sides are full and nothing moves any more.
  while (!isFull && sent < 64 * 1024 * 1024) {
    sent += piece.length;
    if (!socket.write(piece)) {
      const drained = once(socket, 'drain').then(() => false);
      isFull = await Promise.race([drained, sleep(300, true)]);
    }
  }
  assert.ok(isFull, 'the server has stopped reading');
  assert.ok(socket.bytesWritten - socket.writableLength < 32 * 1024 * 1024);
});

test('Calls.drain() cuts a caller whose command does not end', async (t) => {
  const server = await serve(t);
  const socket = await openFramed(server, ['hang']);
  await once(socket, 'data');
  const reply = readAll(socket);
  assert.equal(await server.calls.drain(10), 1);
  await reply;
});
