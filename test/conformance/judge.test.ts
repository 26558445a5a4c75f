// The replayer must see a wrong reply. Each recorded step is given a right one, and then ones that differ in a single place.

import assert from 'node:assert/strict';
import test from 'node:test';
import { archive, entry } from '../archive/tar-builder.js';
import { Bindings } from './bindings.js';
import type { Step } from './case.js';
import { judge, type Observation } from './judge.js';
import { bytesOf, GIVEN, rightReply, type Part } from './right-reply.js';
import { selectCases } from './selection.js';

const STEPS = selectCases(['january', 'march', 'ours']).flatMap(({ folder, name, steps }) =>
  steps.map((step, at) => ({ label: `${folder}/${name}, step ${at + 1}`, step })),
);

/** Whether the step accepts the bytes as its reply, with a status and type that are right. */
function accepts(step: Step, bytes: Buffer, more: Partial<Observation> = {}): boolean {
  const right = { bytes, status: step.expect_status ?? 0, contentType: step.expect_ctype ?? '' };
  return judge(step, { ...right, ...more }, new Bindings(GIVEN), '2013') === undefined;
}

/** The reply with one character of the n-th part changed, taken away, or put there twice. */
function* changes(parts: readonly Part[]): Generator<Buffer> {
  for (const [at, { text, isExact }] of parts.entries()) {
    if (!isExact || text === '') continue;
    const middle = text.length >> 1;
    const other = String.fromCharCode(text.charCodeAt(middle) ^ 1);
    for (const insert of ['', other, (text[middle] ?? '').repeat(2)]) {
      const changed = text.slice(0, middle) + insert + text.slice(middle + 1);
      yield bytesOf(parts.with(at, { text: changed, isExact }));
    }
  }
}

test('judge() accepts a right reply to every recorded step', () => {
  for (const { label, step } of STEPS) {
    const parts = rightReply(step);
    if (parts !== undefined) assert.ok(accepts(step, bytesOf(parts)), `${label}: ${bytesOf(parts).toString()}`);
  }
});

test('judge() refuses every reply that differs in one exact character', () => {
  let tried = 0;
  for (const { label, step } of STEPS) {
    // what stands between the lines, or the tokens, of these is free
    if (step.expect_contains !== undefined || /\{\{(any|text|word)/.test(JSON.stringify(step))) continue;
    for (const wrong of changes(rightReply(step) ?? [])) {
      tried++;
      assert.ok(!accepts(step, wrong), `${label}: ${JSON.stringify(wrong.toString())}`);
    }
  }
  assert.ok(tried > 5_000, `only ${tried} replies were tried`);
});

test('judge() refuses every reply that is cut short or goes on', () => {
  for (const { label, step } of STEPS) {
    const parts = rightReply(step);
    if (parts === undefined || step.expect_contains !== undefined || step.expect?.endsWith('{{text}}') === true)
      continue;
    const right = bytesOf(parts);
    if (right.length > 0) assert.ok(!accepts(step, right.subarray(0, -1)), `${label}: cut`);
    assert.ok(!accepts(step, Buffer.concat([right, Buffer.from('\n')])), `${label}: goes on`);
  }
});

test('judge() refuses another status and another content type', () => {
  const steps = STEPS.filter(({ step }) => step.expect_ctype !== undefined && rightReply(step) !== undefined);
  assert.ok(steps.length > 20);
  for (const { label, step } of steps) {
    const right = bytesOf(rightReply(step) ?? []);
    assert.ok(!accepts(step, right, { status: 500 }), label);
    assert.ok(!accepts(step, right, { contentType: 'text/css' }), label);
  }
});

test('judge() wants the lines of expect_contains in their order', () => {
  const step = { expect_contains: ['a {{id:c}}\n', 'b {{id:c}}\n'] };
  assert.ok(accepts(step, Buffer.from('x\na 00000000\ny\nb 00000000\n')));
  assert.ok(!accepts(step, Buffer.from('b 00000000\na 00000000\n')));
  assert.ok(!accepts(step, Buffer.from('a 00000000\nb 00000001\n')));
  assert.ok(!accepts(step, Buffer.from('a 00000000\n')));
});

test('judge() compares length and checksum of a long reply', () => {
  const step = { expect_len: 3, expect_sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad' };
  assert.ok(accepts(step, Buffer.from('abc')));
  assert.ok(!accepts(step, Buffer.from('abd')));
  assert.ok(!accepts({ ...step, expect_len: 4 }, Buffer.from('abc')));
});

test('judge() compares what is in an archive, and wants its end', () => {
  const right = archive(entry({ name: './b', content: 'b' }), entry({ name: './a', type: '5', mode: 0o755 }));
  const step = { expect_tar: 'd0755 0:0 ./a\n-0644 0:0 ./b 1 3e23e8160039594a\n' };
  assert.ok(accepts(step, right));
  assert.ok(accepts({ expect_tar: 'd0755 0:0 ./a\n', tar_filter: 'a' }, right));
  assert.ok(
    !accepts(step, archive(entry({ name: './b', content: 'c' }), entry({ name: './a', type: '5', mode: 0o755 }))),
  );
  assert.ok(
    !accepts(step, archive(entry({ name: './b', content: 'b' }), entry({ name: './a', type: '5', mode: 0o700 }))),
  );
  assert.throws(() => accepts(step, right.subarray(0, -512)), /lacks its end/);
});

test('judge() wants each command of 2013 in the overview, and none twice', () => {
  const list = (names: string): Buffer =>
    Buffer.from(
      `Usage: docker COMMAND [arg...]\n\nText.\n\nCommands:\n${names.replace(/(\S+) ?/g, '    $1   text\n')}`,
    );
  const step = { expect_overview: { before: '', after: '' } };
  const all = 'run ps pull put rm stop logs diff commit attach tar web wait info';
  assert.ok(accepts(step, list(`${all} more`)));
  assert.ok(!accepts(step, list(all.replace('web ', ''))));
  assert.ok(!accepts(step, list(`${all} ps`)));
});

test('judge() takes usages in the form of another Go where it is told to', () => {
  const flags = { a: 'false', u: '""' };
  const step = { expect_usage: { before: '', name: 'run', signature: '[OPTIONS] IMAGE', flags, after: '' } };
  const usage = (list: string): Buffer => Buffer.from(`\nUsage: docker run [OPTIONS] IMAGE\n\nText\n\n${list}`);
  const accepted = (list: string, form: '2013' | 'go1.19'): boolean =>
    judge(step, { bytes: usage(list) }, new Bindings(), form) === undefined;
  const [old, rebuilt] = ['  -a=false: text\n  -u="": text\n', '  -a\ttext\n  -u string\n    \ttext\n'];
  assert.deepEqual([accepted(old, '2013'), accepted(rebuilt, '2013')], [true, false]);
  assert.deepEqual([accepted(rebuilt, 'go1.19'), accepted(old, 'go1.19')], [true, false]);
  assert.ok(accepted('  -a=false: text\n  -b=0: one more\n  -u="": text\n', '2013'));
  assert.ok(!accepted('  -a=false: text\n', '2013'), 'a flag is missing');
  assert.ok(!accepted('  -a=true: text\n  -u="": text\n', '2013'), 'another default');
});
