// Threads for jobs: that one is used again, that none is left with a job, and how many rest.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { RESTING_THREADS, startJob, type ThreadJob } from '../../src/util/thread-jobs.js';
import type { Order } from './jobs-thread.js';

const FILE = new URL('./jobs-thread.js', import.meta.url);

interface Heard {
  job: ThreadJob;
  said: number[];
  errors: string[];
}

// The query makes it another file for the pool: each test begins without a thread.
function start(t: { name: string }, order: Order, url = FILE): Heard {
  const said: number[] = [];
  const errors: string[] = [];
  const own = new URL(`?${encodeURIComponent(t.name)}`, url);
  const job = startJob<number>(own, 'test', order, {
    onMessage: (message) => said.push(message),
    onError: (error) => errors.push(error.message),
  });
  return { job, said, errors };
}

/** Does a job to its end. The thread that did it; undefined where it did not come to say so. */
async function threadOf(t: { name: string }, order: Order): Promise<number | undefined> {
  const { job, said } = start(t, order);
  await job.ended;
  return said[0];
}

const threads = (): number => readdirSync('/proc/self/task').length;

test('startJob() gives the next job the thread of the one before', async (t) => {
  const first = await threadOf(t, 'say');
  assert.ok(first !== undefined);
  const count = threads();
  for (let nth = 0; nth < 20; nth++) assert.equal(await threadOf(t, 'say'), first);
  assert.equal(threads(), count);
});

test('startJob() ends after the last message of the job', async (t) => {
  for (let nth = 0; nth < 5; nth++) {
    const { job, said } = start(t, 'chatter');
    await job.ended;
    assert.equal(said.length, 1001);
  }
});

test('startJob() gives jobs at the same time a thread each, and keeps a few', async (t) => {
  const before = threads();
  const jobs = Array.from({ length: RESTING_THREADS + 3 }, () => start(t, 'wait'));
  for (const { job } of jobs) job.port.postMessage('go on');
  await Promise.all(jobs.map(({ job }) => job.ended));
  const used = new Set(jobs.flatMap(({ said }) => said));
  assert.equal(used.size, jobs.length);
  assert.ok(threads() <= before + RESTING_THREADS, `${threads()} threads, ${before} before`);
  const again = await Promise.all(Array.from({ length: RESTING_THREADS }, () => threadOf(t, 'say')));
  assert.equal(new Set(again).size, RESTING_THREADS);
  assert.ok(again.every((thread) => thread !== undefined && used.has(thread)));
});

test('startJob() does not hand what is told too late to the next job of the thread', async (t) => {
  const early = start(t, 'say');
  early.job.port.postMessage('too late');
  await early.job.ended;
  const waiting = start(t, 'wait');
  let isOver = false;
  void waiting.job.ended.then(() => (isOver = true));
  assert.notEqual(await threadOf(t, 'say'), early.said[0]);
  assert.deepEqual(waiting.said, early.said);
  assert.ok(!isOver);
  waiting.job.port.postMessage('go on');
  await waiting.job.ended;
});

for (const order of ['throw', 'die'] as const) {
  test(`startJob() ends when the thread does, and starts a new one (${order})`, async (t) => {
    const first = await threadOf(t, 'say');
    const { job, said, errors } = start(t, order);
    await job.ended;
    assert.deepEqual(errors, order === 'throw' ? ['broken on purpose'] : []);
    assert.ok(said.length === 0 || said[0] === first);
    const next = await threadOf(t, 'say');
    assert.ok(next !== undefined && next !== first);
  });
}

test('startJob() ends when its file cannot be loaded', async (t) => {
  const { job, said, errors } = start(t, 'say', new URL('./nothing.js', FILE));
  await job.ended;
  assert.deepEqual(said, []);
  assert.match(errors.join(), /Cannot find module/);
});

test('startJob() keeps no thread that holds much memory', async (t) => {
  const first = await threadOf(t, 'grow');
  assert.notEqual(await threadOf(t, 'say'), first);
});
