// The first line of a call: what it may say, and reading it off a real socket.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { MAX_LINE_BYTES, MAX_WORDS, parseCallLine, readLine, toWindow } from '../../src/rcli/call-line.js';

function failure(line: string): string {
  try {
    parseCallLine(line);
  } catch (error) {
    assert.ok(error instanceof Error);
    return error.message;
  }
  return 'no error';
}

/** Both ends of a connection, closed after the test. */
async function socketPair(t: TestContext): Promise<{ near: Socket; far: Socket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  const accepted = once(server, 'connection') as Promise<[Socket]>; // net documents the argument
  const far = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const [near] = await accepted;
  t.after(() => {
    for (const socket of [near, far]) socket.destroy();
    server.close();
  });
  for (const socket of [near, far]) socket.on('error', () => undefined);
  return { near, far };
}

/** All that comes until the other side ends. */
async function readRest(socket: Socket): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer); // a socket without an encoding yields buffers
  return Buffer.concat(chunks).toString();
}

test('parseCallLine() takes an array of words', () => {
  assert.deepEqual(parseCallLine('["run","base"]'), { words: ['run', 'base'], framed: false, terminal: undefined });
  assert.deepEqual(parseCallLine(' \t[ "ps" ]\r').words, ['ps']);
  assert.deepEqual(parseCallLine('["größe","\\u0000","a b"]').words, ['größe', '\0', 'a b']);
});

test('parseCallLine() takes null and an empty array as a call without words (D04)', () => {
  for (const line of ['null', '[]']) assert.deepEqual(parseCallLine(line).words, []);
});

test('parseCallLine() takes a null among the words as an empty one', () => {
  assert.deepEqual(parseCallLine('[null,"x",null]').words, ['', 'x', '']);
});

test('parseCallLine() refuses words that are no text', () => {
  assert.equal(failure('["ps",1]'), 'Invalid call line: 1 is no string');
  assert.equal(failure('[["ps"]]'), 'Invalid call line: ["ps"] is no string');
  assert.equal(failure('[{}]'), 'Invalid call line: {} is no string');
  assert.equal(failure('[true]'), 'Invalid call line: true is no string');
});

test('parseCallLine() refuses JSON that is no array', () => {
  for (const line of ['{}', '"ps"', '1', 'true', '{"args":["ps"]}', '{"toString":1}'])
    assert.equal(failure(line), 'Invalid call line: expected a JSON array of strings', line);
});

test('parseCallLine() refuses what is no JSON', () => {
  for (const line of ['', 'GET / HTTP/1.1\r', '["ps"', '["ps"]]', "['ps']"])
    assert.match(failure(line), /^Invalid call line: ./, line);
});

test('parseCallLine() takes as many words as are allowed and no more', () => {
  const line = (count: number): string => JSON.stringify(Array<string>(count).fill(''));
  assert.equal(parseCallLine(line(MAX_WORDS)).words.length, MAX_WORDS);
  assert.equal(
    failure(line(MAX_WORDS + 1)),
    `Invalid call line: ${MAX_WORDS + 1} words, at most ${MAX_WORDS} are allowed`,
  );
});

test('parseCallLine() takes a framed call with and without a terminal', () => {
  assert.deepEqual(parseCallLine('{"frames":1,"args":["ps",null]}'), {
    words: ['ps', ''],
    framed: true,
    terminal: undefined,
  });
  assert.deepEqual(parseCallLine('{"frames":1,"args":[],"tty":{"rows":50,"cols":132,"term":"vt100"}}').terminal, {
    rows: 50,
    cols: 132,
    term: 'vt100',
  });
});

test('parseCallLine() makes a plain terminal of one that is told badly', () => {
  const terminal = (tty: string): unknown => parseCallLine(`{"frames":1,"args":[],"tty":${tty}}`).terminal;
  assert.deepEqual(terminal('{}'), { rows: 24, cols: 80, term: undefined });
  assert.deepEqual(terminal('{"rows":"50","cols":-1,"term":5}'), { rows: 24, cols: 80, term: undefined });
  for (const none of ['null', '1', '"x"', 'false']) assert.equal(terminal(none), undefined);
});

test('parseCallLine() refuses versions of frames that it does not know', () => {
  assert.equal(failure('{"frames":2,"args":[]}'), 'Invalid call line: frames version 2 is not known');
  assert.equal(failure('{"frames":"1","args":[]}'), 'Invalid call line: frames version "1" is not known');
  assert.equal(failure('{"frames":null}'), 'Invalid call line: frames version null is not known');
});

test('parseCallLine() refuses a framed call whose words are no array', () => {
  for (const line of ['{"frames":1}', '{"frames":1,"args":"ps"}', '{"frames":1,"args":{"0":"ps"}}'])
    assert.equal(failure(line), 'Invalid call line: "args" must be an array of strings');
});

test('toWindow() keeps sensible numbers and replaces the others', () => {
  assert.deepEqual(toWindow({ rows: 1, cols: 65_535 }), { rows: 1, cols: 65_535 });
  for (const bad of [0, -1, 65_536, 1.5, NaN, '9', null, undefined])
    assert.deepEqual(toWindow({ rows: bad, cols: 9 }), { rows: 24, cols: 9 });
  for (const value of [null, undefined, 5, 'x', []]) assert.deepEqual(toWindow(value), { rows: 24, cols: 80 });
});

test('readLine() puts a line together that comes in pieces, also within a character', async (t) => {
  const { near, far } = await socketPair(t);
  far.setNoDelay(true);
  const line = readLine(near);
  for (const byte of Buffer.from('["größe"]\n')) await new Promise((resolve) => far.write(Buffer.of(byte), resolve));
  assert.equal(await line, '["größe"]');
});

test('readLine() leaves what follows the line in the socket', async (t) => {
  const { near, far } = await socketPair(t);
  far.end('first\nsecond\nthird');
  assert.equal(await readLine(near), 'first');
  assert.equal(await readRest(near), 'second\nthird');
});

test('readLine() leaves what comes later in the socket, too', async (t) => {
  const { near, far } = await socketPair(t);
  far.write('first\n');
  assert.equal(await readLine(near), 'first');
  far.end('later');
  assert.equal(await readRest(near), 'later');
});

test('readLine() takes the longest line that is allowed', async (t) => {
  const { near, far } = await socketPair(t);
  far.end(`${'x'.repeat(MAX_LINE_BYTES)}\nrest`);
  assert.equal((await readLine(near)).length, MAX_LINE_BYTES);
  assert.equal(await readRest(near), 'rest');
});

test('readLine() refuses a longer line without waiting for its end', async (t) => {
  const { near, far } = await socketPair(t);
  far.write('x'.repeat(MAX_LINE_BYTES + 1));
  await assert.rejects(readLine(near), { message: `Call line too long: at most ${MAX_LINE_BYTES} bytes are allowed` });
});

test('readLine() says EOF for an end without a newline, and for no line at all', async (t) => {
  for (const text of ['["ps"]', '']) {
    const { near, far } = await socketPair(t);
    far.end(text);
    await assert.rejects(readLine(near), { message: 'EOF' });
  }
});

test('readLine() says EOF for a connection that breaks off', async (t) => {
  const { near, far } = await socketPair(t);
  far.write('["ps"');
  const line = readLine(near);
  await once(near, 'data');
  far.resetAndDestroy();
  await assert.rejects(line, { message: 'EOF' });
});

test('readLine() gives up on a caller that says nothing', async (t) => {
  const { near, far } = await socketPair(t);
  far.write('["ps"');
  await assert.rejects(readLine(near, 20), { message: 'No call line within 0.02 seconds' });
});

test('readLine() leaves no listener of its own behind, whether it succeeds or fails', async (t) => {
  const count = (socket: Socket): number[] => ['data', 'end', 'close'].map((name) => socket.listenerCount(name));
  const good = await socketPair(t);
  const before = count(good.near);
  good.far.write('line\n');
  await readLine(good.near);
  assert.deepEqual(count(good.near), before);
  const silent = await socketPair(t);
  await assert.rejects(readLine(silent.near, 1));
  assert.deepEqual(count(silent.near), before);
});
