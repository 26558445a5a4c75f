// Which cases are played, and what is told of them.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Case } from './case.js';
import { FakeDaemon } from './fake-daemon.js';
import { readOptions } from './options.js';
import { playAll, type PlayOptions, type Tally } from './play-all.js';
import { overHttp, selectCases, slowFirst } from './selection.js';

const CASES: Case[] = ['one', 'two', 'three'].map((name) => ({
  name,
  why: `says ${name}`,
  command: 'say',
  folder: 'x',
  steps: [{ args: [name], expect: `first\n${name}\n` }],
}));

async function playOn(
  cases: Case[],
  answer: (args: string[]) => string,
  options: Partial<PlayOptions> = {},
): Promise<{ tally: Tally; lines: string[] }> {
  const daemons = [await FakeDaemon.start(answer), await FakeDaemon.start(answer)];
  const lines: string[] = [];
  const targets = daemons.map(({ target }) => target);
  const tally = await playAll(cases, targets, { again: 'play', print: (line) => lines.push(line), ...options });
  for (const daemon of daemons) await daemon.close();
  return { tally, lines };
}

test('playAll() plays each case once, on whichever daemon is free', async () => {
  const called: string[] = [];
  const { tally, lines } = await playOn(CASES, ([name = '']) => {
    called.push(name);
    return `first\n${name}\n`;
  });
  assert.deepEqual(tally, { passed: 3, failed: 0, skipped: 0 });
  assert.deepEqual(lines.sort(), ['ok x/one', 'ok x/three', 'ok x/two']);
  assert.deepEqual(called.sort(), ['one', 'three', 'two']);
});

test('playAll() tells of a case that fails: what it is about, the step, the lines that differ, how to see it again', async () => {
  const { tally, lines } = await playOn(CASES.slice(0, 1), () => 'first\nother\n', { suffix: ' on vfs' });
  assert.deepEqual(tally, { passed: 0, failed: 1, skipped: 0 });
  assert.deepEqual(lines.join('\n').split('\n'), [
    'FAIL x/one on vfs: the reply differs',
    '    says one',
    '    step 1 of 1: ["one"]',
    '        "first\\n"',
    '      - "one\\n"',
    '      + "other\\n"',
    '    again: play x/one',
  ]);
});

test('playAll() skips a case whose needs are not met, and fails it where it is strict', async () => {
  const cases: Case[] = CASES.slice(0, 1).map((one) => ({ ...one, needs: ['root', 'net'] }));
  const lenient = await playOn(cases, () => '');
  assert.deepEqual(lenient, {
    tally: { passed: 0, failed: 0, skipped: 1 },
    lines: ['skip x/one (needs --root --net)'],
  });
  assert.deepEqual((await playOn(cases, () => '', { isStrict: true })).tally, { passed: 0, failed: 1, skipped: 0 });
});

test('playAll() plays a case that failed again where it is told to', async () => {
  let count = 0;
  const answer = (): string => (++count === 1 ? 'wrong' : 'first\none\n');
  const { tally, lines } = await playOn(CASES.slice(0, 1), answer, { retries: 2 });
  assert.deepEqual(tally, { passed: 1, failed: 0, skipped: 0 });
  assert.deepEqual(lines, ['  (again: x/one: the reply differs)', 'ok x/one']);
});

test('playAll() rejects where a daemon cannot be made ready', async () => {
  const nobody = { host: '127.0.0.1', port: 1 };
  const daemon = await FakeDaemon.start(() => '');
  try {
    const targets = [{ ...daemon.target, tcp: nobody }];
    await assert.rejects(
      playAll(CASES, targets, { again: '', print: () => undefined }),
      /^Error: Cannot connect to "127.0.0.1:1": .*ECONNREFUSED/,
    );
  } finally {
    await daemon.close();
  }
});

test('selectCases() finds folders, names and shards, January first', () => {
  const all = selectCases([]);
  const references = all.map(({ reference }) => reference ?? 'jan29');
  assert.deepEqual(references, [...references].sort());
  const shards = [1, 2, 3].flatMap((at) => selectCases([], { at, of: 3 }));
  assert.deepEqual(new Set(shards.map(({ name }) => name)), new Set(all.map(({ name }) => name)));
  assert.equal(shards.length, all.length);
  assert.deepEqual(
    selectCases(['march/port-help', 'ps-mixed']).map(({ folder, name }) => `${folder}/${name}`),
    ['january/ps-mixed', 'march/port-help'],
  );
  assert.throws(() => selectCases(['nonsense']), /Cannot find the case "nonsense"/);
});

test('slowFirst() leaves no case out and keeps January before March', () => {
  const all = selectCases([]);
  const ordered = slowFirst(all);
  assert.deepEqual(new Set(ordered), new Set(all));
  const references = ordered.map(({ reference }) => reference ?? 'jan29');
  assert.deepEqual(references, [...references].sort());
});

test('overHttp() sends plain calls by HTTP, and is not for cases that need more of TCP', () => {
  const of = (steps: Case['steps']): Case['steps'] | undefined =>
    overHttp({ name: '', why: '', command: '', folder: '', steps })?.steps;
  assert.deepEqual(of([{ args: ['ps'], expect: '' }, { sleep: 1 }]), [
    { args: ['ps'], expect: '', transport: 'http' },
    { sleep: 1 },
  ]);
  for (const step of [
    { args: ['a/b'] },
    { args: [''] },
    { args: ['..'] },
    { conn: 'A', args: ['ps'] },
    { raw: 'x' },
    { args: ['ps'], halfclose: false },
    { args: ['ps'], parallel: 2 },
    { transport: 'http' as const, args: ['ps'] },
  ]) {
    assert.equal(of([step]), undefined, JSON.stringify(step));
  }
});

test('readOptions() reads what names a daemon, and refuses what it does not know', () => {
  const { tcp, http, transports, shard, words } = readOptions([
    '--tcp',
    ':4000',
    '--http',
    'host:80',
    '--transports',
    'tcp,http',
    '--shard',
    '2/3',
    'january',
  ]);
  assert.deepEqual(
    [tcp, http],
    [
      { host: '127.0.0.1', port: 4000 },
      { host: 'host', port: 80 },
    ],
  );
  assert.deepEqual([transports, shard, words], [['tcp', 'http'], { at: 2, of: 3 }, ['january']]);
  for (const args of [
    ['--nonsense'],
    ['--tcp', 'x'],
    ['--usage', 'go2'],
    ['--transports', 'udp'],
    ['--retries', 'x'],
  ]) {
    assert.throws(() => readOptions(args), Error, args.join(' '));
  }
});
