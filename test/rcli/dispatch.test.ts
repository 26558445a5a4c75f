// From words to methods: what can be called from afar, and what cannot.

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import test from 'node:test';
import { command, type Command } from '../../src/rcli/command.js';
import { call, getMethod, type Service } from '../../src/rcli/dispatch.js';
import { ReplyStream } from '../../src/rcli/reply.js';
import { overviewText, usageText } from '../../src/rcli/usage.js';

const echo = command('echo', '[ARG...]', 'Say it again', {}, 125);
const fail = command('fail', '', 'Do not', {}, 125);

class Base implements Service {
  readonly commands: readonly Command[] = [echo, fail];
  readonly secret = 'field';
  CmdField = async (): Promise<void> => assert.fail('a field was called');

  get CmdGetter(): () => void {
    return assert.fail('a getter was read');
  }

  async CmdEcho(_stdin: PassThrough, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const parsed = echo.parse(stdout, args);
    if (parsed === undefined) return;
    stdout.write(`${JSON.stringify(parsed.args)}${this.secret}`);
  }

  async CmdFail(): Promise<void> {
    throw new Error('it failed');
  }

  async cmdLower(): Promise<void> {
    assert.fail('cmdLower was called');
  }

  async CmdTwoWords(): Promise<void> {
    assert.fail('CmdTwoWords was called');
  }
}

class Derived extends Base {
  async CmdOwn(_stdin: PassThrough, stdout: ReplyStream): Promise<void> {
    stdout.write('own');
  }
}

/** What a call prints, and its status. */
async function answer(...words: string[]): Promise<{ text: string; status: number; error: string }> {
  let text = '';
  const reply = new ReplyStream((chunk, done) => {
    text += chunk.toString();
    done();
  });
  let error = '';
  await call(new Derived(), new PassThrough(), reply, words).catch((thrown: unknown) => (error = String(thrown)));
  return { text, status: reply.status, error };
}

test('call() finds the method of a word and hands it the other words', async () => {
  assert.deepEqual(await answer('echo', 'a', '', 'b c'), { text: '["a","","b c"]field', status: 0, error: '' });
});

test('call() finds methods along the prototype chain', async () => {
  assert.equal((await answer('own')).text, 'own');
});

test('call() takes a word whatever its capitals', async () => {
  for (const word of ['ECHO', 'Echo', 'eCHo']) assert.equal((await answer(word, 'x')).text, '["x"]field');
});

test('call() names the word of a command that does not exist', async () => {
  assert.deepEqual(await answer('nothing', 'x'), { text: '', status: 0, error: 'Error: No such command: nothing' });
  assert.equal((await answer('100%')).error, 'Error: No such command: 100%');
});

test('getMethod() finds nothing that is not declared as a command by a class', () => {
  const service = new Derived();
  for (const word of [
    ...['constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty', 'prototype', 'secret', 'commands'],
    ...['field', 'getter', 'lower', 'twoWords', 'twowords', '', ' echo', 'echo ', 'CmdEcho', 'echo\n', 'écho', 'e-cho'],
  ])
    assert.equal(getMethod(service, word), undefined, JSON.stringify(word));
});

test('getMethod() does not see methods that are put on Object.prototype under another name', () => {
  assert.equal(getMethod(Object.create(null) as object, 'echo'), undefined);
  assert.equal(getMethod({}, 'echo'), undefined);
});

test('getMethod() takes an object that shadows a method by a field for what its class says', () => {
  const service = Object.assign(new Derived(), { CmdOwn: 'a field' });
  assert.equal(getMethod(service, 'own'), Reflect.get(Derived.prototype, 'CmdOwn'));
});

test('call() answers every form of asking for help by the overview', async () => {
  const overview = overviewText([echo, fail]);
  for (const words of [[], [''], ['help'], ['help', ''], ['', ''], ['--'], ['--', 'help'], ['', 'echo']])
    assert.deepEqual(await answer(...words), { text: overview, status: 0, error: '' }, JSON.stringify(words));
});

test('call() answers help with a command by the usage of that command', async () => {
  assert.deepEqual(await answer('help', 'echo'), { text: usageText(echo), status: 0, error: '' });
  assert.equal((await answer('help', 'ECHO', 'more')).text, usageText(echo));
  assert.equal((await answer('echo', '--help')).text, usageText(echo));
});

test('call() answers help with an unknown command by an error', async () => {
  assert.equal((await answer('help', 'nothing')).error, 'Error: No such command: nothing');
});

test('call() takes help in small letters only', async () => {
  assert.equal((await answer('HELP')).error, 'Error: No such command: HELP');
  assert.equal((await answer('Help', 'echo')).error, 'Error: No such command: Help');
});

test('call() refuses a flag before the word: mistake, overview, error', async () => {
  const message = 'flag provided but not defined: -x';
  assert.deepEqual(await answer('-x', 'echo'), {
    text: `${message}\n${overviewText([echo, fail])}`,
    status: 1,
    error: `Error: ${message}`,
  });
  assert.equal((await answer('---ps')).error, 'Error: bad flag syntax: ---ps');
});

test('call() takes two dashes before the word as nothing', async () => {
  assert.equal((await answer('--', 'echo', 'x')).text, '["x"]field');
  assert.equal((await answer('-', 'echo')).error, 'Error: No such command: -');
});

test('call() sets the status that the declaration gives to a failure', async () => {
  assert.deepEqual(await answer('fail'), { text: '', status: 125, error: 'Error: it failed' });
  assert.equal((await answer('FAIL')).status, 125);
});
