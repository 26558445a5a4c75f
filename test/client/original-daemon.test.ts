// Our client and a daemon of 2013: it falls back to the array, and behaves as an original client would.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import test, { type TestContext } from 'node:test';
import { PROGRAM, type ClientResult } from '../harness.js';
import { OriginalDaemon, REFUSAL, type Faults } from './original-daemon.js';
import { Screen } from './screen.js';

async function start(t: TestContext, faults?: Faults): Promise<OriginalDaemon> {
  const daemon = await OriginalDaemon.start(faults);
  t.after(() => daemon.close());
  return daemon;
}

/** Runs the client as a user would; without `input` its standard input stays open. */
async function tsdock(daemon: OriginalDaemon, words: string[], input?: Buffer | string): Promise<ClientResult> {
  const child = spawn(process.execPath, [PROGRAM, ...words], { env: { ...process.env, DOCKER: daemon.address } });
  const result: ClientResult = { status: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (result.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (result.stderr += chunk.toString()));
  child.stdin.on('error', () => undefined); // it may not be read
  if (input !== undefined) child.stdin.end(input);
  result.status = await new Promise((resolve) => child.once('close', resolve));
  child.stdin.destroy();
  return result;
}

test('runClient() sends the object and nothing else before it knows, then the array, the input and its end', async (t) => {
  const daemon = await start(t);
  const result = await tsdock(daemon, ['run', '-a', '-i', 'base', 'cat'], 'typed\n');
  assert.deepEqual(result, { status: 0, stdout: 'got "typed\\n"\n', stderr: '' });
  const [framed, plain] = daemon.seen;
  assert.deepEqual(
    [daemon.seen.length, framed?.line, framed?.input.length],
    [2, '{"frames":1,"args":["run","-a","-i","base","cat"]}', 0],
  );
  assert.deepEqual(
    [plain?.line, plain?.input.toString(), plain?.isEnded],
    ['["run","-a","-i","base","cat"]', 'typed\n', true],
  );
});

test('runClient() adds -a, splits -it and takes -d off before an original daemon', async (t) => {
  const daemon = await start(t);
  for (const [words, line, stdout] of [
    [['run', 'base', 'ls'], '["run","-a","base","ls"]', 'printed\nError: not ours\n'],
    [['run', '-it', 'base', 'sh'], '["run","-a","-i","-t","base","sh"]', 'got ""\n'],
    [['run', '-d', 'base', 'ls', '-d'], '["run","base","ls","-d"]', '0123abcd\n'],
  ] as const) {
    assert.deepEqual(await tsdock(daemon, [...words], ''), { status: 0, stdout, stderr: '' });
    assert.equal(daemon.lines.at(-1), line);
  }
});

test('runClient() knows an original daemon whatever it says of the object, slowly, in pieces or without an end of line', async (t) => {
  for (const faults of [
    { refusal: 'Error: invalid character\n' },
    { refusal: 'free text' },
    { refusal: '\n' },
    { refusal: 'HTTP/1.1 400 Bad Request\r\n\r\n' },
    { pieceBytes: 1 },
    { pieceBytes: 7, pauseMs: 20 },
  ]) {
    const daemon = await start(t, faults);
    const result = await tsdock(daemon, ['ps'], '');
    assert.match(result.stdout, /^ID +IMAGE .* COMMENT\n$/, JSON.stringify(faults));
    assert.deepEqual([result.status, result.stderr], [0, '']);
  }
});

test('runClient() exits with 1 where the reply of an original daemon begins as an error, however it is cut', async (t) => {
  for (const faults of [{}, { pieceBytes: 1 }, { pieceBytes: 3, pauseMs: 20 }]) {
    const daemon = await start(t, faults);
    const result = await tsdock(daemon, ['run', 'nosuch', 'true'], '');
    assert.deepEqual(result, { status: 1, stdout: 'Error: No such image: nosuch\n', stderr: '' });
  }
});

test('runClient() shows an error that comes while it still sends megabytes, and sends no more', async (t) => {
  const daemon = await start(t, { readsOn: true });
  const result = await tsdock(daemon, ['run', '-a', '-i', 'nosuch', 'cat'], Buffer.alloc(20_000_000, 'x'));
  assert.deepEqual(result, { status: 1, stdout: 'Error: No such image: nosuch\n', stderr: '' });
});

test('runClient() fails where the daemon breaks off its input: the end of the connection may take the error with it', async (t) => {
  const daemon = await start(t);
  const { status, stdout, stderr } = await tsdock(
    daemon,
    ['run', '-a', '-i', 'nosuch', 'cat'],
    Buffer.alloc(20_000_000),
  );
  assert.equal(status, 1);
  assert.match(stdout + stderr, /^(Error: No such image: nosuch|tsdock: Lost the daemon at [^\n]+)\n$/);
});

test('runClient() ends when an original daemon closes, though its own input is open', async (t) => {
  const daemon = await start(t);
  const result = await tsdock(daemon, ['run', '-a', '-i', 'nosuch', 'cat']);
  assert.deepEqual(result, { status: 1, stdout: 'Error: No such image: nosuch\n', stderr: '' });
});

test('runClient() sends an archive to an original daemon whole', async (t) => {
  const daemon = await start(t);
  const archive = Buffer.alloc(5_000_000, 'tar\n');
  const result = await tsdock(daemon, ['put', 'base'], archive);
  assert.deepEqual(result, { status: 0, stdout: 'base:0123456789abcdef\n', stderr: '' });
  assert.ok(daemon.seen.at(-1)?.input.equals(archive));
});

test('runClient() takes an empty reply of an original daemon for success', async (t) => {
  const daemon = await start(t);
  assert.deepEqual(await tsdock(daemon, ['rm', '0123abcd'], ''), { status: 0, stdout: '', stderr: '' });
});

test('runClient() says that the daemon is lost where it closes without a word', async (t) => {
  for (const faults of [{ refusal: undefined }, { refusal: '' }]) {
    const daemon = await start(t, faults);
    const { status, stdout, stderr } = await tsdock(daemon, ['ps'], '');
    assert.deepEqual([status, stdout], [1, '']);
    assert.match(stderr, /^tsdock: Lost the daemon at 127\.0\.0\.1:\d+ before the call ended: [^\n]+\n$/);
  }
});

test('runClient() says that an original daemon is lost where the connection breaks', async (t) => {
  const daemon = await start(t, { crashes: true });
  const { status, stderr } = await tsdock(daemon, ['put', 'base'], Buffer.alloc(20_000_000));
  assert.equal(status, 1);
  assert.match(stderr, /^tsdock: Lost the daemon at 127\.0\.0\.1:\d+ before the call ended: [^\n]+\n$/);
});

test('runClient() ends, and leaves the terminal as it was, where an original daemon breaks the second connection at once', async (t) => {
  let connections = 0;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    if (++connections > 1) socket.resetAndDestroy();
    else socket.once('data', () => socket.end(REFUSAL));
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const words = { NODE: process.execPath, PROGRAM, DOCKER: `127.0.0.1:${port}` };
  const screen = new Screen('"$NODE" "$PROGRAM" run -i -t base sh; echo "left with $?"; stty -a; exec cat', words);
  t.after(() => screen.close());
  await screen.shows(/tsdock: \w+[^]* 127\.0\.0\.1:\d+[^]*\nleft with 1\n[^]* icanon /);
  assert.equal(connections, 2);
});
