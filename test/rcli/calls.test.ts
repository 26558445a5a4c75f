// The calls under way: an error becomes one line, every call one line of the log, and the end of the daemon cuts them.

import assert from 'node:assert/strict';
import { PassThrough, type Readable } from 'node:stream';
import test from 'node:test';
import type { Command } from '../../src/rcli/command.js';
import { Calls } from '../../src/rcli/calls.js';
import type { Service } from '../../src/rcli/dispatch.js';
import { ReplyStream, writeTo } from '../../src/rcli/reply.js';

class Commands implements Service {
  readonly commands: readonly Command[] = [];

  async CmdSay(_stdin: Readable, stdout: ReplyStream, text = ''): Promise<void> {
    stdout.write(text);
  }

  async CmdFail(_stdin: Readable, stdout: ReplyStream, text = ''): Promise<void> {
    stdout.write('before\n');
    throw new Error(text);
  }

  async CmdStatus(_stdin: Readable, stdout: ReplyStream): Promise<void> {
    stdout.status = 7;
    throw new Error('with a status of its own');
  }

  async CmdThrow(): Promise<void> {
    // eslint-disable-next-line @typescript-eslint/only-throw-error -- what a library might do
    throw 'no error object';
  }

  async CmdHang(_stdin: Readable, stdout: ReplyStream): Promise<void> {
    await new Promise<void>((resolve) => stdout.gone.addEventListener('abort', () => resolve()));
  }
}

/** A reply that collects what goes to each stream. */
function collect(): { reply: ReplyStream; sent: { stdout: string; stderr: string } } {
  const sent = { stdout: '', stderr: '' };
  const into =
    (name: 'stdout' | 'stderr') =>
    (chunk: Buffer, done: () => void): void => {
      sent[name] += chunk.toString();
      done();
    };
  return { reply: new ReplyStream(into('stdout'), into('stderr')), sent };
}

function service(): {
  calls: Calls;
  log: string[];
  answer: (...words: string[]) => Promise<ReturnType<typeof collect>>;
} {
  const log: string[] = [];
  const calls = new Calls(new Commands(), (line) => log.push(line));
  const answer = async (...words: string[]): Promise<ReturnType<typeof collect>> => {
    const collected = collect();
    const { reply } = collected;
    await calls.answer({ words, stdin: new PassThrough(), reply, transport: 'tcp', peer: '127.0.0.1:9' });
    return collected;
  };
  return { calls, log, answer };
}

test('Calls.answer() sends what the command writes, and ends the reply', async () => {
  const { answer } = service();
  const { reply, sent } = await answer('say', 'hello');
  assert.deepEqual(sent, { stdout: 'hello', stderr: '' });
  assert.equal(reply.status, 0);
  assert.ok(reply.writableFinished && reply.gone.aborted);
});

test('Calls.answer() makes an error one line after what was printed, on stderr', async () => {
  const { answer } = service();
  const { reply, sent } = await answer('fail', 'rm 100%d');
  assert.deepEqual(sent, { stdout: 'before\n', stderr: 'Error: rm 100%d\n' });
  assert.equal(reply.status, 1);
});

test('Calls.answer() keeps a status that dispatch has set, and takes whatever is thrown', async () => {
  const { answer } = service();
  assert.equal((await answer('status')).reply.status, 1, 'dispatch says 1 for an undeclared command');
  assert.equal((await answer('throw')).sent.stderr, 'Error: no error object\n');
  assert.equal((await answer('unknown')).reply.status, 1);
});

test('Calls.answer() logs a line a call: transport, caller, words, time, outcome', async () => {
  const { answer, log } = service();
  await answer('say', 'a b', 'c');
  await answer('fail', 'why');
  assert.match(log[0] ?? '', /^tcp 127\.0\.0\.1:9 say "a b" c \(\d+ ms\): ok$/);
  assert.match(log[1] ?? '', /^tcp 127\.0\.0\.1:9 fail why \(\d+ ms\): Error: why$/);
});

test('Calls.answer() logs words with control characters on one line, and long ones shortened', async () => {
  const { answer, log } = service();
  await answer('say', 'a\nb\x1b[31m', '');
  assert.match(log[0] ?? '', / say "a\\nb\\u001b\[31m" "" \(/);
  await answer('say', 'x'.repeat(10_000));
  assert.ok((log[1] ?? '').length < 600, 'bounded');
  assert.match(log[1] ?? '', /x… \(2 words\) \(\d+ ms\): ok$/);
});

test('Calls.answer() logs an error whose text has several lines on one line', async () => {
  const { answer, log } = service();
  await answer('fail', 'one\ntwo');
  assert.equal(log.length, 1);
  assert.doesNotMatch(log[0] ?? '', /\n/);
});

test('Calls.answer() says of a caller that is gone that it went away', async () => {
  const { calls, log } = service();
  const { reply } = collect();
  const answered = calls.answer({ words: ['hang'], stdin: new PassThrough(), reply, transport: 'http', peer: 'p' });
  reply.destroy();
  await answered;
  assert.match(log[0] ?? '', /^http p hang \(\d+ ms\): (ok|the caller went away)$/);
});

test('Calls.drain() resolves with 0 where nothing is under way, and no call is taken from then on', async () => {
  const { calls } = service();
  assert.equal(await calls.drain(10), 0);
  const { reply, sent } = collect();
  await calls.answer({ words: ['say', 'x'], stdin: new PassThrough(), reply, transport: 'tcp', peer: 'p' });
  assert.equal(sent.stderr, 'Error: The daemon is ending\n');
});

test('Calls.drain() waits for what is under way', async () => {
  const { calls } = service();
  const { reply, sent } = collect();
  const answered = calls.answer({ words: ['say', 'x'], stdin: new PassThrough(), reply, transport: 'tcp', peer: 'p' });
  assert.equal(await calls.drain(5_000), 0);
  await answered;
  assert.equal(sent.stdout, 'x');
});

test('Calls.drain() cuts what is still under way after the deadline', async () => {
  const { calls, log } = service();
  const replies = [collect(), collect()];
  const answered = replies.map(({ reply }) =>
    calls.answer({ words: ['hang'], stdin: new PassThrough(), reply, transport: 'tcp', peer: 'p' }),
  );
  assert.equal(await calls.drain(20), 2);
  await Promise.all(answered);
  assert.ok(replies.every(({ reply }) => reply.destroyed));
  assert.equal(log.length, 2);
  assert.equal(await calls.drain(0), 0);
});

test('ReplyStream merges stderr into stdout where the transport does', async () => {
  let sent = '';
  const reply = new ReplyStream((chunk, done) => {
    sent += chunk.toString();
    done();
  });
  await writeTo(reply, 'out ');
  await writeTo(reply.stderr, 'err');
  assert.equal(sent, 'out err');
});

test('ReplyStream calls listeners for windows and signals until they are removed', () => {
  const { reply } = collect();
  const seen: unknown[] = [];
  const removers = [reply.onWindow((window) => seen.push(window)), reply.onSignal((signal) => seen.push(signal))];
  reply.announceWindow({ rows: 1, cols: 2 });
  reply.announceSignal('SIGINT');
  for (const remove of removers) remove();
  reply.announceWindow({ rows: 3, cols: 4 });
  reply.announceSignal('SIGTERM');
  assert.deepEqual(seen, [{ rows: 1, cols: 2 }, 'SIGINT']);
});

test('ReplyStream keeps the last window and the signals that come before anybody listens', () => {
  const { reply } = collect();
  for (const rows of [1, 2]) reply.announceWindow({ rows, cols: 3 });
  reply.announceSignal('SIGINT');
  const seen: unknown[] = [];
  for (let times = 0; times < 2; times++) {
    const remove = [reply.onWindow((window) => seen.push(window)), reply.onSignal((signal) => seen.push(signal))];
    assert.deepEqual(seen, [{ rows: 2, cols: 3 }, 'SIGINT']); // once
    for (const removeOne of remove) removeOne();
  }
});

test('writeTo() rejects where the caller is gone', async () => {
  const { reply } = collect();
  reply.destroy();
  await assert.rejects(writeTo(reply, 'x'), { code: 'ERR_STREAM_DESTROYED' });
  await assert.rejects(writeTo(reply.stderr, 'x'), { code: 'ERR_STREAM_DESTROYED' });
});
