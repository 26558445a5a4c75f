// Whether a container runs, how it ended, and who waits for that.

import assert from 'node:assert/strict';
import test from 'node:test';
import { State } from '../../src/container/state.js';
import { ZERO_TIME } from '../../src/util/go-time.js';

const PROCESS = { pid: 123, startTicks: 456 };
const EXITED = { exitCode: 3, signal: undefined };

test('State is that of a container that never ran, at first', () => {
  const state = new State();
  assert.deepEqual([state.isRunning, state.pid, state.exitCode, state.shellStatus], [false, 0, 0, 0]);
  assert.equal(state.toString(), 'Exit 0');
});

test('State.setRunning() records the process and when it began', () => {
  const state = new State();
  const before = Date.now();
  state.setRunning(PROCESS);
  assert.deepEqual([state.isRunning, state.pid], [true, 123]);
  assert.ok(state.startedAtMs >= before && state.startedAtMs <= Date.now());
  assert.equal(state.toString(), 'Up Less than a second');
});

test('State.setStopped() records how and when it ended, and forgets the process', () => {
  const state = new State();
  state.setRunning(PROCESS);
  state.setStopped(EXITED, 1_355_270_400_000);
  assert.deepEqual([state.isRunning, state.pid, state.exitCode], [false, 0, 3]);
  assert.equal(state.toString(), 'Exit 3');
  assert.match(JSON.stringify(state.toJSON()), /"FinishedAt":"2012-12-12T00:00:00Z"/);
});

test('State.shellStatus is 128 + n where a signal ended it, and the exit code is -1 then', () => {
  const state = new State();
  state.setStopped({ exitCode: -1, signal: 9 }, 0);
  assert.deepEqual([state.exitCode, state.shellStatus, state.toString()], [-1, 137, 'Exit -1']);
  state.setRunning(PROCESS);
  state.setStopped(EXITED, 0);
  assert.equal(state.shellStatus, 3, 'the signal of the run before is forgotten');
});

test('State.setRunning() forgets how the last run ended', () => {
  const state = new State();
  state.setStopped({ exitCode: -1, signal: 9 }, 0);
  state.setRunning(undefined);
  assert.deepEqual([state.exitCode, state.shellStatus, state.pid], [0, 0, 0]);
});

test('State.adopt() keeps the times of the run', () => {
  const state = State.fromJSON({ Running: true, Pid: 1, StartedAt: '2012-12-12T00:00:00Z' });
  assert.equal(state.adopt(PROCESS, 5), true);
  assert.deepEqual([state.pid, state.startedAtMs], [123, 1_355_270_400_000]);
});

test('State.adopt() tells of a run that is not on record, which began when it is told', () => {
  const other = { Running: true, Pid: 123, StartTicks: 400, StartedAt: '2012-12-12T00:00:00Z' };
  for (const json of [other, { Running: false, ExitCode: 7, StartedAt: '2012-12-12T00:00:00Z' }, {}]) {
    const state = State.fromJSON(json);
    assert.equal(state.adopt(PROCESS, 5_000), false);
    assert.deepEqual([state.isRunning, state.pid, state.exitCode, state.startedAtMs], [true, 123, 0, 5_000]);
  }
});

test('State.hasRun tells a container that never ran from all others', () => {
  const state = new State();
  assert.equal(state.hasRun, false);
  state.setRunning(undefined);
  state.setStopped(EXITED, 0);
  assert.equal(state.hasRun, true);
});

test('State.fromJSON() reads what toJSON() wrote, with 2013 keys first and in their order', () => {
  const state = new State();
  state.setRunning(PROCESS);
  state.setStopped({ exitCode: -1, signal: 15 }, 1_355_270_400_000);
  const json = JSON.stringify(state.toJSON());
  assert.equal(JSON.stringify(State.fromJSON(JSON.parse(json) as Record<string, unknown>).toJSON()), json); // an object, as just written
  assert.match(json, /^\{"Running":false,"Pid":0,"ExitCode":-1,"StartedAt":"[^"]+","FinishedAt":/);
});

test('State.fromJSON() takes what is missing or of another type for a container that never ran', () => {
  const state = State.fromJSON({ Running: 'yes', Pid: '5', ExitCode: 1.5, StartedAt: 7, Signal: null });
  assert.deepEqual(state.toJSON(), new State().toJSON());
  assert.match(JSON.stringify(state.toJSON()), new RegExp(`"StartedAt":"${ZERO_TIME}"`));
});

test('State.wait() resolves at once for what does not run', async () => {
  await new State().wait();
});

test('State.wait() wakes all who wait at the end of the run, once', async () => {
  const state = new State();
  state.setRunning(PROCESS);
  const woken: number[] = [];
  const waits = [1, 2, 3].map(async (who) => {
    await state.wait();
    woken.push(who);
  });
  await Promise.resolve();
  assert.deepEqual(woken, []);
  state.setStopped(EXITED, 0);
  await Promise.all(waits);
  assert.deepEqual(woken, [1, 2, 3]);
});

test('State.wait() rejects for who gives up, and for nobody else', async () => {
  const state = new State();
  state.setRunning(PROCESS);
  const given = new AbortController();
  const impatient = state.wait(given.signal);
  const patient = state.wait();
  given.abort(new Error('enough'));
  await assert.rejects(impatient, { message: 'enough' });
  state.setStopped(EXITED, 0);
  await patient;
});

test('State.wait() rejects for a signal that was aborted before', async () => {
  const state = new State();
  state.setRunning(PROCESS);
  await assert.rejects(state.wait(AbortSignal.abort(new Error('before'))), { message: 'before' });
});

test('State.wait() of a new run does not see the end of the one before', async () => {
  const state = new State();
  state.setRunning(PROCESS);
  state.setStopped(EXITED, 0);
  state.setRunning(PROCESS);
  let isOver = false;
  const wait = state.wait().then(() => (isOver = true));
  await new Promise(setImmediate);
  assert.equal(isOver, false);
  state.setStopped(EXITED, 0);
  await wait;
});
