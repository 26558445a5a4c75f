// What the client adds to a call, rule by rule (DESIGN section 3).

import assert from 'node:assert/strict';
import test from 'node:test';
import { prepareCall, type PreparedCall } from '../../src/client/run-arguments.js';
import type { Flag } from '../../src/rcli/command.js';
import { CONTAINER_COMMANDS } from '../../src/server/container-commands.js';
import { LOOK_COMMANDS } from '../../src/server/look-commands.js';

function atTerminal(line: string): PreparedCall {
  return prepareCall(line.split(' '), true, false);
}

function throughPipes(line: string): PreparedCall {
  return prepareCall(line.split(' '), false, false);
}

/** The words on one line. */
function said({ words }: PreparedCall): string {
  return words.join(' ');
}

test('prepareCall() makes a plain run at a terminal an interactive shell', () => {
  const call = atTerminal('run base /bin/bash');
  assert.deepEqual(call, {
    words: ['run', '-a', '-i', '-t', 'base', '/bin/bash'],
    wordsForOriginal: ['run', '-a', '-i', '-t', 'base', '/bin/bash'],
    sendsInput: true,
    isAttached: true,
    hasTty: true,
  });
});

test('prepareCall() attaches a plain run without a terminal, and no more', () => {
  const call = throughPipes('run base ls');
  assert.deepEqual([said(call), call.sendsInput, call.isAttached, call.hasTty], ['run -a base ls', false, true, false]);
});

test('prepareCall() says -a only, at a terminal, where one of -i and -t is named', () => {
  for (const flags of ['-i', '-t', '-i -t', '--i', '-t=true', '-i=false'])
    assert.equal(said(atTerminal(`run ${flags} base sh`)), `run -a ${flags} base sh`);
});

test('prepareCall() adds nothing to a run that names -a or -d', () => {
  for (const flags of ['-a', '-d', '--a', '-a=true', '-a=false', '-d -i -t', '-a -i'])
    for (const prepare of [atTerminal, throughPipes])
      assert.equal(said(prepare(`run ${flags} base sh`)), `run ${flags} base sh`);
});

test('prepareCall() attaches nothing to a detached run', () => {
  const call = atTerminal('run -d base sleep 9');
  assert.deepEqual([call.sendsInput, call.isAttached, call.hasTty], [false, false, false]);
  assert.equal(throughPipes('run -a=false base ls').isAttached, false);
});

test('prepareCall() splits mode flags that are written together, and no others', () => {
  assert.equal(said(atTerminal('run -it base sh')), 'run -a -i -t base sh');
  assert.equal(said(throughPipes('run -ait base sh')), 'run -a -i -t base sh');
  assert.equal(said(throughPipes('run -ti -d base sh')), 'run -t -i -d base sh');
  assert.equal(said(throughPipes('run -ix base sh')), 'run -a -ix base sh');
  assert.equal(said(throughPipes('run --it base sh')), 'run -a --it base sh');
});

test('prepareCall() leaves the words after the image alone', () => {
  const call = throughPipes('run base ls -it -d');
  assert.equal(said(call), 'run -a base ls -it -d');
  assert.deepEqual(call.wordsForOriginal, ['run', '-a', 'base', 'ls', '-it', '-d']);
  assert.equal(said(throughPipes('run -- -it x')), 'run -a -- -it x');
});

test('prepareCall() takes the value of -c for no image', () => {
  assert.equal(said(throughPipes('run -c -x base')), 'run -a -c -x base');
  assert.equal(throughPipes('run -c -x base').hasTty, true, 'a run without a command');
  assert.equal(said(throughPipes('run -c=-d base ls')), 'run -a -c=-d base ls');
});

test('prepareCall() does not split the value of -c', () => {
  assert.equal(said(throughPipes('run -c -it base ls')), 'run -a -c -it base ls');
});

test('prepareCall() does not take the value of -c for a flag', () => {
  assert.equal(said(throughPipes('run -c -d base ls')), 'run -a -c -d base ls');
  assert.equal(throughPipes('run -c -i base cat').sendsInput, false);
});

test('prepareCall() knows every flag of run, start and attach that takes a value', () => {
  for (const { name, flags } of [CONTAINER_COMMANDS.run, CONTAINER_COMMANDS.start, LOOK_COMMANDS.attach]) {
    for (const [flag, { value }] of Object.entries<Flag>(flags)) {
      if (typeof value === 'boolean') continue;
      assert.equal(throughPipes(`${name} -a -${flag} -i base cat`).sendsInput, false, `${name} -${flag}`);
    }
  }
});

test('prepareCall() does not take the value of -c off before an original daemon', () => {
  assert.deepEqual(throughPipes('run -a -c -d base ls').wordsForOriginal, ['run', '-a', '-c', '-d', 'base', 'ls']);
});

test('prepareCall() takes -d off before an original daemon', () => {
  for (const flag of ['-d', '--d', '-d=true'])
    assert.deepEqual(atTerminal(`run ${flag} -i base sh`).wordsForOriginal, ['run', '-i', 'base', 'sh']);
  assert.deepEqual(throughPipes('run -di base sh').wordsForOriginal, ['run', '-i', 'base', 'sh']);
  assert.deepEqual(throughPipes('ps -d').wordsForOriginal, ['ps', '-d']);
});

test('prepareCall() takes a run without a command for a shell: interactive, whatever the flags', () => {
  for (const line of ['run', 'run base', 'run -a base', 'run -c x base', 'run -i=false base']) {
    const call = throughPipes(line);
    assert.deepEqual([call.sendsInput, call.isAttached, call.hasTty], [true, true, true], line);
  }
  assert.equal(throughPipes('run -d base').isAttached, false);
});

test('prepareCall() sends nothing but the words as they are when it is told to', () => {
  const words = ['run', '-it', 'base', 'sh'];
  assert.deepEqual(prepareCall(words, true, true).words, words);
  const plain = prepareCall(['run', 'base', 'ls'], true, true);
  assert.deepEqual([plain.words, plain.isAttached, plain.sendsInput], [['run', 'base', 'ls'], false, false]);
  assert.equal(prepareCall(['run', '-a', '-i', 'base', 'cat'], true, true).sendsInput, true);
});

test('prepareCall() knows run whatever its capitals', () => {
  assert.deepEqual(prepareCall(['RUN', 'base', 'ls'], false, false).words, ['RUN', '-a', 'base', 'ls']);
});

test('prepareCall() sends input along where a command reads it, and nowhere else', () => {
  for (const line of ['put x', 'PUT', 'write id /f']) assert.equal(throughPipes(line).sendsInput, true, line);
  for (const line of ['ps', 'ps -i', 'run base cat', 'logs id', 'start id', 'start -a id', ''])
    assert.equal(throughPipes(line).sendsInput, false, line);
  for (const line of ['run -i base cat', 'run -a -i base cat', 'start -i id', 'start -a -i id', 'attach -i id'])
    assert.equal(throughPipes(line).sendsInput, true, line);
});

test('prepareCall() sends no input to a run whose -i is switched off', () => {
  for (const off of ['-i=false', '-i=0', '-i=F', '-i=FALSE'])
    assert.equal(throughPipes(`run ${off} base cat`).sendsInput, false, off);
});

test('prepareCall() is attached by attach, and by start with -a or -i', () => {
  assert.equal(throughPipes('attach id').isAttached, true);
  assert.equal(throughPipes('start id').isAttached, false);
  assert.equal(throughPipes('start -a id').isAttached, true);
  assert.equal(throughPipes('stop -a id').isAttached, false);
});

test('prepareCall() asks for help by one empty word: no word at all crashes an original daemon', () => {
  assert.deepEqual(prepareCall([], true, false).wordsForOriginal, ['']);
});
