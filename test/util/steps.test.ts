// The step channel: what is announced, to whom, and at what cost when nobody listens.

import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import test, { type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import createDebug from 'debug';
import { printSteps, step, STEP_CHANNEL, timedStep, withinCall, type Step } from '../../src/util/steps.js';

/** The steps that are announced until the test ends. */
function listen(t: TestContext): Step[] {
  const steps: Step[] = [];
  const onStep = (message: unknown): unknown => steps.push(message as Step); // only `step` publishes on this channel
  subscribe(STEP_CHANNEL, onStep);
  t.after(() => unsubscribe(STEP_CHANNEL, onStep));
  return steps;
}

test('step() announces name, facts, source and duration', (t) => {
  const steps = listen(t);
  step('mount', 'filesystem.go, Mount', () => ({ target: '/x' }), 1.5);
  assert.deepEqual(steps, [
    { name: 'mount', facts: { target: '/x' }, source: 'filesystem.go, Mount', durationMs: 1.5, call: undefined },
  ]);
});

test('step() does not even work the facts out when nobody listens', () => {
  step('mount', '', () => assert.fail('nobody asked for the facts'));
});

test('withinCall() gives steps the number of their call, across waits and beside each other', async (t) => {
  const steps = listen(t);
  const body = async (name: string): Promise<void> => {
    await nextTurn();
    step(name, '', () => ({}));
  };
  await Promise.all([withinCall(1, () => body('one')), withinCall(2, () => body('two'))]);
  step('none', '', () => ({}));
  assert.deepEqual(
    steps.map(({ name, call }) => [name, call]),
    [
      ['one', 1],
      ['two', 2],
      ['none', undefined],
    ],
  );
});

test('withinCall() costs a call that begins while nobody listens nothing, not even its number', (t) => {
  const steps = withinCall(1, () => {
    const heard = listen(t);
    step('late', '', () => ({}));
    return heard;
  });
  assert.deepEqual(
    steps.map(({ name, call }) => [name, call]),
    [['late', undefined]],
  );
});

test('timedStep() hands the result on and announces how long it took', async (t) => {
  const steps = listen(t);
  assert.equal(await timedStep('x', 'source', () => ({ a: 1 }), () => nextTurn('result')), 'result'); // prettier-ignore
  assert.equal(await timedStep('y', '', () => ({}), () => 5), 5); // prettier-ignore
  assert.deepEqual(
    steps.map(({ name }) => name),
    ['x', 'y'],
  );
  assert.ok((steps[0]?.durationMs ?? -1) >= 0);
});

test('timedStep() announces nothing where its body throws', async (t) => {
  const steps = listen(t);
  await assert.rejects(timedStep('x', '', () => ({}), () => Promise.reject(new Error('why'))), { message: 'why' }); // prettier-ignore
  assert.deepEqual(steps, []);
});

test('timedStep() does its body when nobody listens', async () => {
  assert.equal(await timedStep('x', '', () => assert.fail('nobody asked for the facts'), () => 7), 7); // prettier-ignore
});

test('printSteps() prints through debug under the name of the step, until it is removed', (t) => {
  const lines: string[] = [];
  t.mock.method(createDebug, 'log', (...args: unknown[]) => lines.push(args.map(String).join(' ')));
  createDebug.enable('tsdock:*');
  t.after(() => createDebug.disable());
  const remove = printSteps();
  withinCall(3, () => step('spawn', 'container.go, start', () => ({ pid: 5 }), 2));
  remove();
  step('spawn', '', () => ({ pid: 6 }));
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /tsdock:spawn/);
  assert.match(lines[0] ?? '', /#3 /);
  assert.match(lines[0] ?? '', /container\.go, start/);
});
