// The layout of usage texts and of the overview, as the Go of 2013 prints them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { PassThrough } from 'node:stream';
import { bool, command, int, string } from '../../src/rcli/command.js';
import { overviewText, usageText } from '../../src/rcli/usage.js';

const run = command('run', '[OPTIONS] IMAGE', 'Run a command', {
  i: bool(false, 'Keep stdin open'),
  c: string('', 'Comment'),
  a: bool(true, 'Attach'),
  m: int(0, 'Memory'),
});

/** What `write` puts into its stream, as text. */
function printed(write: (stream: PassThrough) => void): string {
  const stream = new PassThrough();
  const pieces: Buffer[] = [];
  stream.on('data', (piece: Buffer) => pieces.push(piece));
  write(stream);
  return Buffer.concat(pieces).toString();
}

test('usageText() is synopsis, description and the flags in order of their names', () => {
  assert.equal(
    usageText(run),
    '\nUsage: tsdock run [OPTIONS] IMAGE\n\nRun a command\n\n' +
      '  -a=true: Attach\n  -c="": Comment\n  -i=false: Keep stdin open\n  -m=0: Memory\n',
  );
});

test('usageText() of a command without synopsis and flags ends after the description', () => {
  assert.equal(usageText(command('web', '', 'A page', {})), '\nUsage: tsdock web\n\nA page\n\n');
});

test('usageText() sorts flags by bytes: capitals before small letters', () => {
  const both = command('x', '', '', { b: bool(false, ''), B: bool(false, ''), a: bool(false, '') });
  assert.deepEqual(
    [...usageText(both).matchAll(/-(\w)=/g)].map(([, name]) => name),
    ['B', 'a', 'b'],
  );
});

test('overviewText() lists the commands in the order given, names in a column of ten', () => {
  const text = overviewText([run, command('ps', '', 'List', {}), command('averylongname', '', 'X', {})]);
  assert.match(text, /^Usage: tsdock COMMAND \[arg\.\.\.\]\n/);
  assert.ok(
    text.endsWith('Commands:\n    run       Run a command\n    ps        List\n    averylongnameX\n'),
    JSON.stringify(text),
  );
});

test('Command.parse() gives flags and arguments, and prints nothing', () => {
  let parsed;
  const text = printed((stream) => (parsed = run.parse(stream, ['-i', '-c', 'x', 'base', '-a'])));
  assert.deepEqual(parsed, { flags: { i: true, c: 'x', a: true, m: 0 }, args: ['base', '-a'] });
  assert.equal(text, '');
});

test('Command.parse() answers --help by the usage alone', () => {
  assert.equal(
    printed((stream) => assert.equal(run.parse(stream, ['--help']), undefined)),
    usageText(run),
  );
});

test('Command.parse() answers a wrong flag by the mistake and the usage', () => {
  assert.equal(
    printed((stream) => assert.equal(run.parse(stream, ['-it']), undefined)),
    `flag provided but not defined: -it\n${usageText(run)}`,
  );
});
