// A stand-in for a connection as input: it may be destroyed, the connection lives on.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import test from 'node:test';
import { borrowInput } from '../../src/rcli/input.js';

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

test('borrowInput() passes everything on, and the end', async () => {
  const stdin = new PassThrough();
  const input = borrowInput(stdin);
  stdin.write('one ');
  stdin.end('two');
  assert.equal(await textOf(input), 'one two');
});

test('borrowInput() fails where the input breaks off before its end', async () => {
  const stdin = new PassThrough();
  const input = borrowInput(stdin);
  stdin.write('half');
  stdin.destroy();
  await assert.rejects(textOf(input), { message: 'The input broke off before its end' });
});

test('borrowInput() tells why the input broke off', async () => {
  const stdin = new PassThrough();
  const input = borrowInput(stdin);
  stdin.destroy(new Error('reset'));
  await assert.rejects(
    textOf(input),
    (error: Error) => error.cause instanceof Error && error.cause.message === 'reset',
  );
});

test('borrowInput() leaves the input alone when the stand-in is destroyed', async () => {
  const stdin = new PassThrough();
  const input = borrowInput(stdin);
  stdin.write('x');
  input.destroy();
  await once(input, 'close');
  assert.equal(stdin.destroyed, false);
  assert.equal(stdin.listenerCount('data'), 0, 'it is not read any more');
  stdin.end('rest');
  assert.match(await textOf(stdin), /rest$/);
});

test('borrowInput() takes input that has ended before', async () => {
  const stdin = new PassThrough();
  stdin.end();
  stdin.resume();
  await once(stdin, 'close');
  const input = borrowInput(stdin);
  const outcome = await Promise.race([
    textOf(input),
    new Promise((resolve) => setTimeout(resolve, 1_000, 'it waits for ever')),
  ]);
  assert.equal(outcome, '');
});
