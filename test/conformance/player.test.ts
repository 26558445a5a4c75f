// What a case does step by step, against a daemon that says what the test wants.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Case, Step } from './case.js';
import { FakeDaemon, type Answer } from './fake-daemon.js';
import { Player, type Failure } from './player.js';

function caseOf(steps: Step[]): Case {
  return { name: 'x', why: 'a test', command: 'x', folder: 'x', steps };
}

/** Plays one case of these steps, and returns how it failed and what was called. */
async function play(
  steps: Step[],
  answer: (args: string[]) => Answer,
): Promise<{ failure?: Failure; calls: string[] }> {
  const daemon = await FakeDaemon.start(answer);
  const player = await Player.start(daemon.target, 'jan29');
  try {
    await player.prepare();
    const failure = await player.play(caseOf(steps));
    const calls = daemon.calls.map((args) => args.join(' '));
    return failure === undefined ? { calls } : { failure, calls };
  } finally {
    await player.close();
    await daemon.close();
  }
}

/** Asserts that the case fails at this step for this reason. */
async function failsAt(at: number, reason: RegExp, steps: Step[], answer: (args: string[]) => Answer): Promise<void> {
  const { failure } = await play(steps, answer);
  assert.equal(failure?.step, at);
  assert.match(failure.mismatch.reason, reason);
}

test('Player.play() carries what a step has bound to the later ones', async () => {
  const steps = [
    { args: ['run', 'base'], expect: '{{id:c}}\n' },
    { args: ['rm', '{{id:c}}'], expect: '' },
  ];
  const { failure, calls } = await play(steps, ([command]) => (command === 'run' ? '0a1b2c3d\n' : ''));
  assert.deepEqual([failure, calls], [undefined, ['run base', 'rm 0a1b2c3d']]);
});

test('Player.play() ends at the first step that fails, and tells which', async () => {
  const steps = [
    { args: ['a'], expect: 'a\n' },
    { args: ['b'], expect: 'b\n' },
    { args: ['c'], expect: 'c\n' },
  ];
  const { failure, calls } = await play(steps, ([command]) => (command === 'b' ? 'x\n' : `${command ?? ''}\n`));
  assert.deepEqual(calls, ['a', 'b']);
  assert.deepEqual(failure, {
    step: 2,
    mismatch: {
      reason: 'the reply differs',
      lines: [
        { side: 'expected', text: 'b\n' },
        { side: 'got', text: 'x\n' },
      ],
    },
  });
});

test('Player.play() repeats a step until it passes, and no longer than it may', async () => {
  let count = 0;
  const { failure } = await play([{ args: ['a'], expect: 'done', retry_s: 5 }], () =>
    ++count < 3 ? 'not yet' : 'done',
  );
  assert.deepEqual([failure, count], [undefined, 3]);
  await failsAt(1, /differs/, [{ args: ['a'], expect: 'done', retry_s: 0.2 }], () => 'not yet');
});

test('Player.play() fails where a reply does not end', async () => {
  await failsAt(
    1,
    /^No end of the reply in 2 s; so far "begun"$/,
    [{ args: ['a'], expect: 'begun', timeout: 2 }],
    () => (socket) => {
      socket.write('begun');
    },
  );
});

test('Player.play() fails where calls made at once have different replies', async () => {
  let count = 0;
  await failsAt(1, /made at once/, [{ args: ['a'], parallel: 4, expect: '{{any}}' }], () => String(count++));
  assert.equal(count, 4);
});

const OPEN: Step = { conn: 'A', args: ['attach'] };
const ECHO = (): Answer => (socket) => {
  socket.write('hello\n');
  socket.on('data', (chunk: Buffer) => socket.write(chunk));
  socket.on('end', () => socket.end('bye\n'));
};

test('Player.play() talks over a connection that stays open', async () => {
  const steps: Step[] = [
    OPEN,
    { conn: 'A', until: 'hello\n' },
    { conn: 'A', quiet: 0.05 },
    { conn: 'A', send: 'one\n' },
    { conn: 'A', until: '{{word:x}}\n' },
    { conn: 'A', send: '{{word:x}} two\n', shutdown: true, eof: true, expect: 'one two\nbye\n' },
  ];
  assert.equal((await play(steps, ECHO)).failure, undefined);
});

test('Player.play() fails where a connection says something else, is not quiet, or ends', async () => {
  await failsAt(2, /"A" says something else/, [OPEN, { conn: 'A', until: 'hallo\n', timeout: 2 }], ECHO);
  await failsAt(2, /"A" is not quiet: "hello\\n"/, [OPEN, { conn: 'A', quiet: 60 }], ECHO);
  await failsAt(2, /"A" is not quiet: ""/, [OPEN, { conn: 'A', quiet: 60 }], () => '');
  await failsAt(2, /says something else/, [OPEN, { conn: 'A', until: 'x' }], () => 'y');
  await failsAt(
    2,
    /No end of the connection in 2 s; so far "hello\\n"/,
    [OPEN, { conn: 'A', eof: true, timeout: 2 }],
    ECHO,
  );
  await failsAt(1, /no step has opened it/, [{ conn: 'A', send: 'x' }], ECHO);
});

test('Player.play() fails where HTTP answers with another status, type or body', async () => {
  const step: Step = {
    transport: 'http',
    args: ['say', 'a b'],
    expect: 'a b',
    expect_status: 200,
    expect_ctype: 'text/plain',
  };
  const say = ([, text = '']: string[]): string => text;
  assert.equal((await play([step], say)).failure, undefined);
  await failsAt(1, /status is 200, not 404/, [{ ...step, expect_status: 404 }], say);
  await failsAt(1, /content type is "text\/plain", not ""/, [{ ...step, expect_ctype: '' }], say);
  await failsAt(1, /differs/, [{ ...step, expect: 'c' }], say);
});

test('Player.play() fails where no daemon answers', async () => {
  const daemon = await FakeDaemon.start(() => '0a1b2c3d\n');
  const player = await Player.start({ ...daemon.target, tcp: { host: '127.0.0.1', port: 1 } }, 'jan29');
  try {
    const failure = await player.play(caseOf([]));
    assert.match(failure?.mismatch.reason ?? '', /^before the case: .*ECONNREFUSED/);
  } finally {
    await player.close();
    await daemon.close();
  }
});
