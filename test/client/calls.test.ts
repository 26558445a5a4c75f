// The client's side of calls, against a daemon that is played by the test.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import test, { type TestContext } from 'node:test';
import type { TcpAddress } from '../../src/util/address.js';
import { ClientError, connect } from '../../src/client/connection.js';
import { FramedCall } from '../../src/client/framed-call.js';
import { plainCall } from '../../src/client/plain-call.js';
import { encodeFrame, FrameDecoder, FrameType, type Frame } from '../../src/rcli/frames.js';

const HELLO = encodeFrame(FrameType.hello, '{"name":"tsdock","version":"0"}');

/** A daemon that does with each connection what `behave` says. */
async function daemon(t: TestContext, behave: (socket: Socket) => void): Promise<TcpAddress> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => undefined);
    behave(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return { host: '127.0.0.1', port };
}

/** A daemon that says these bytes once the line of the call is there; resolves with the line. */
async function answering(t: TestContext, ...pieces: (Buffer | string)[]): Promise<TcpAddress & { lines: string[] }> {
  const lines: string[] = [];
  const address = await daemon(t, (socket) => {
    socket.once('data', (chunk: Buffer) => {
      lines.push(chunk.toString());
      for (const piece of pieces) socket.write(piece);
      socket.end();
    });
  });
  return { ...address, lines };
}

/** Takes over what a call prints. Whatever else the process prints is the test runner's. */
function captureStdout(t: TestContext, ...expected: string[]): { text: () => string } {
  const pieces: string[] = [];
  const write = process.stdout.write.bind(process.stdout);
  t.mock.method(process.stdout, 'write', (piece: Buffer | string): boolean => {
    if (!expected.includes(piece.toString())) return write(piece);
    pieces.push(piece.toString());
    return true;
  });
  return { text: () => pieces.join('') };
}

test('connect() tells which address was tried, why it failed, and what helps', async (t) => {
  const { host, port } = await daemon(t, () => undefined);
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const closed = server.address() as AddressInfo; // a TCP server that listens has one
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(connect({ host: '127.0.0.1', port: closed.port }), (error) => {
    assert.ok(error instanceof ClientError);
    assert.equal(
      error.message,
      `Cannot reach a daemon at 127.0.0.1:${closed.port} (connection refused): start one with "sudo tsdock -d", or set DOCKER=HOST:PORT`,
    );
    return true;
  });
  const socket = await connect({ host, port });
  socket.destroy();
});

test('FramedCall.begin() asks framed, hands output on, and resolves with the status', async (t) => {
  const pieces = [HELLO, encodeFrame(1, 'out'), encodeFrame(1, 'put'), encodeFrame(3, '{"status":42}')];
  const address = await answering(t, ...pieces);
  let out = '';
  const tty = { rows: 24, cols: 80, term: 'xterm' };
  const call = await FramedCall.begin(
    await connect(address),
    address,
    ['run', 'base'],
    tty,
    (piece) => (out += String(piece)),
  );
  assert.ok(call);
  assert.equal(await call.receive(), 42);
  call.close();
  assert.equal(out, 'output');
  assert.deepEqual(JSON.parse(address.lines[0] ?? ''), { frames: 1, args: ['run', 'base'], tty });
  assert.ok(address.lines[0]?.endsWith('\n'));
});

test('FramedCall.begin() does not mention a terminal where there is none', async (t) => {
  const address = await answering(t, HELLO, encodeFrame(3, '{"status":0}'));
  const call = await FramedCall.begin(await connect(address), address, ['ps'], undefined);
  assert.equal(await call?.receive(), 0);
  assert.equal(address.lines[0], '{"frames":1,"args":["ps"]}\n');
});

test('FramedCall.begin() resolves with undefined for an original daemon', async (t) => {
  const address = await answering(t, 'Error: json: cannot unmarshal object\n');
  assert.equal(await FramedCall.begin(await connect(address), address, ['ps'], undefined), undefined);
});

test('FramedCall.begin() rejects where the daemon closes without a word', async (t) => {
  const address = await answering(t);
  await assert.rejects(FramedCall.begin(await connect(address), address, ['ps'], undefined), (error) => {
    assert.ok(error instanceof ClientError);
    assert.match(error.message, /^Lost the daemon at 127\.0\.0\.1:\d+ before the call ended: /);
    return true;
  });
});

test('FramedCall.receive() rejects where the daemon goes before the status', async (t) => {
  const address = await answering(t, HELLO, encodeFrame(1, 'half'));
  const call = await FramedCall.begin(await connect(address), address, ['ps'], undefined, () => undefined);
  assert.ok(call);
  await assert.rejects(call.receive(), ClientError);
});

test('FramedCall.receive() rejects where the daemon sends what is no frame', async (t) => {
  const address = await answering(t, HELLO, Buffer.of(77, 0, 0, 0, 0, 0, 0, 0));
  const call = await FramedCall.begin(await connect(address), address, ['ps'], undefined);
  assert.ok(call);
  await assert.rejects(call.receive(), { message: 'Invalid frame: unknown type 77' });
});

test('FramedCall.receive() is told whatever the status frame says', async (t) => {
  for (const [payload, status] of [
    ['{"status":255}', 255],
    ['{"status":256}', 0],
    ['{"status":-1}', 255],
    ['{}', 1],
    ['null', 1],
  ] as const) {
    const address = await answering(t, HELLO, encodeFrame(3, payload));
    const call = await FramedCall.begin(await connect(address), address, ['ps'], undefined);
    assert.equal(await call?.receive(), status, payload);
  }
});

test('FramedCall sends input, its end, window sizes and signals as frames', async (t) => {
  const received: Frame[] = [];
  const address = await daemon(t, (socket) => {
    const decoder = new FrameDecoder();
    let isCalled = false;
    socket.on('data', (chunk: Buffer) => {
      let rest = chunk;
      if (!isCalled) {
        isCalled = true;
        rest = chunk.subarray(chunk.indexOf('\n') + 1);
        socket.write(HELLO);
      }
      received.push(...decoder.push(rest));
      if (received.length === 4) socket.write(encodeFrame(3, '{"status":0}'));
    });
  });
  const call = await FramedCall.begin(await connect(address), address, ['run'], undefined);
  assert.ok(call);
  call.sendInput(Buffer.from('typed'));
  call.sendWindow(50, 100);
  call.sendSignal('SIGINT');
  call.sendInput(Buffer.alloc(0));
  assert.equal(await call.receive(), 0);
  call.close();
  assert.deepEqual(
    received.map(({ type, payload }) => [type, payload.toString()]),
    [
      [0, 'typed'],
      [4, '{"rows":50,"cols":100}'],
      [5, '{"signal":"SIGINT"}'],
      [0, ''],
    ],
  );
});

test('plainCall() sends the array and half-closes, and prints the reply', async (t) => {
  let sent = '';
  const address = await daemon(t, (socket) => {
    socket.on('data', (chunk: Buffer) => (sent += chunk.toString()));
    socket.on('end', () => socket.end('reply\n'));
  });
  const stdout = captureStdout(t, 'reply\n');
  const status = await plainCall(await connect(address), address, ['ps', '-a'], undefined);
  t.mock.restoreAll();
  assert.deepEqual([status, sent, stdout.text()], [0, '["ps","-a"]\n', 'reply\n']);
});

test('plainCall() sends input behind the array, and its end', async (t) => {
  let sent = '';
  const address = await daemon(t, (socket) => {
    socket.on('data', (chunk: Buffer) => (sent += chunk.toString()));
    socket.on('end', () => socket.end());
  });
  const stdin = new PassThrough();
  stdin.end('input');
  const status = await plainCall(await connect(address), address, ['put'], stdin);
  t.mock.restoreAll();
  assert.deepEqual([status, sent], [0, '["put"]\ninput']);
});

test('plainCall() resolves with 1 where the reply begins as an error does, however it is cut', async (t) => {
  const replies: [string[], number][] = [
    [['Error: no\n'], 1],
    [['Err', 'or: no\n'], 1],
    [['printed\nError: no\n'], 0],
    [['Error'], 0],
    [[], 0],
  ];
  const stdout = captureStdout(t, ...replies.flatMap(([pieces]) => pieces));
  for (const [pieces, expected] of replies) {
    const address = await daemon(t, (socket) => {
      socket.setNoDelay(true);
      socket.resume();
      const next = (left: string[]): void => {
        const [piece, ...rest] = left;
        if (piece === undefined) socket.end();
        else socket.write(piece, () => setImmediate(next, rest));
      };
      socket.once('end', () => next(pieces));
    });
    assert.equal(await plainCall(await connect(address), address, ['x'], undefined), expected, pieces.join('|'));
  }
  t.mock.restoreAll();
  assert.match(stdout.text(), /^Error: no\nError: no\nprinted\n/);
});
