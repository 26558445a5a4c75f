// The logs on disk: records that add up to the bytes, also after a daemon that was killed at work.

import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync, truncateSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import {
  decodeRecords,
  MAX_CHUNK_BYTES,
  RECORD_BYTES,
  STDERR,
  STDOUT,
  type OrderRecord,
} from '../../src/container/log-records.js';
import { LogStore } from '../../src/container/log-store.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** A store that is closed after the test. */
function newStore(t: TestContext): LogStore {
  const store = new LogStore(temporaryFolder(t), 'ab');
  t.after(() => store.close());
  return store;
}

/** The records on disk as [stream, length]. */
function records({ paths }: LogStore): [number, number][] {
  return decodeRecords(readFileSync(paths.order)).map(({ stream, length }: OrderRecord) => [stream, length]);
}

/** A store that has been closed after these chunks. */
function filled(t: TestContext, ...chunks: [typeof STDOUT | typeof STDERR, string][]): LogStore {
  const store = newStore(t);
  store.open();
  for (const [stream, text] of chunks) store.append(stream, text);
  store.close();
  return store;
}

test('LogStore keeps the bytes of each stream and a record for each chunk', (t) => {
  const store = filled(t, [STDOUT, 'one\n'], [STDERR, 'größe'], [STDOUT, 'two']);
  assert.equal(readFileSync(store.paths.stdout, 'utf8'), 'one\ntwo');
  assert.equal(readFileSync(store.paths.stderr, 'utf8'), 'größe');
  assert.deepEqual(records(store), [
    [1, 4],
    [2, 7],
    [1, 3],
  ]);
  assert.equal(statSync(store.paths.stdout).mode & 0o777, 0o600);
  assert.match(store.paths.order, /\/ab-order\.log$/);
});

test('LogStore writes a record as time, length, stream and three zeros', (t) => {
  const before = BigInt(Date.now()) * 1_000_000n;
  const store = filled(t, [STDERR, 'abc']);
  const bytes = readFileSync(store.paths.order);
  assert.equal(bytes.length, 16);
  const timeNs = bytes.readBigUInt64LE(0);
  assert.ok(timeNs >= before && timeNs <= BigInt(Date.now()) * 1_000_000n);
  assert.deepEqual(bytes.subarray(8), Buffer.from([3, 0, 0, 0, 2, 0, 0, 0]));
});

test('LogStore.open() goes on at the end of what is there', (t) => {
  const store = filled(t, [STDOUT, 'first ']);
  store.open();
  assert.deepEqual(store.runBegan, { stdout: 6, stderr: 0, order: RECORD_BYTES });
  store.append(STDOUT, 'second');
  assert.deepEqual(store.end, { stdout: 12, stderr: 0, order: 2 * RECORD_BYTES });
  assert.equal(readFileSync(store.paths.stdout, 'utf8'), 'first second');
  assert.deepEqual(store.runBegan, { stdout: 6, stderr: 0, order: RECORD_BYTES });
});

test('LogStore.open() gives bytes without a record one, with the time of the file', (t) => {
  const store = filled(t, [STDOUT, 'known']);
  appendFileSync(store.paths.stdout, 'unknown');
  utimesSync(store.paths.stdout, 1_355_270_400, 1_355_270_400);
  store.open();
  assert.deepEqual(records(store), [
    [1, 5],
    [1, 7],
  ]);
  assert.equal(decodeRecords(readFileSync(store.paths.order))[1]?.timeNs, 1_355_270_400_000_000_000n);
  assert.deepEqual(store.runBegan, { stdout: 12, stderr: 0, order: 32 }, 'they belong to the run before');
});

test('LogStore.open() makes the order log of an original, whose files have none', (t) => {
  const store = newStore(t);
  writeFileSync(store.paths.stdout, 'out of March');
  writeFileSync(store.paths.stderr, 'err');
  store.open();
  assert.deepEqual(records(store), [
    [1, 12],
    [2, 3],
  ]);
});

test('LogStore.open() cuts what it records anew into chunks that are not too long', (t) => {
  const store = newStore(t);
  writeFileSync(store.paths.stdout, '');
  truncateSync(store.paths.stdout, 2 * MAX_CHUNK_BYTES + 1);
  store.open();
  assert.deepEqual(records(store), [
    [1, MAX_CHUNK_BYTES],
    [1, MAX_CHUNK_BYTES],
    [1, 1],
  ]);
});

test('LogStore.open() writes over a record that is torn', (t) => {
  const store = filled(t, [STDOUT, 'one']);
  appendFileSync(store.paths.stdout, 'two!');
  appendFileSync(store.paths.order, Buffer.alloc(7, 0xff));
  store.open();
  assert.deepEqual(records(store), [
    [1, 3],
    [1, 4],
  ]);
  assert.deepEqual(store.end, { stdout: 7, stderr: 0, order: 32 });
});

test('LogStore.open() leaves no torn record behind where no byte is missing', (t) => {
  const store = filled(t, [STDOUT, 'one']);
  appendFileSync(store.paths.order, Buffer.alloc(7, 0xff));
  store.open();
  store.append(STDERR, 'next');
  assert.deepEqual(records(store), [
    [1, 3],
    [2, 4],
  ]);
});

test('LogStore.open() gives the order up where there are more records than bytes', (t) => {
  const store = filled(t, [STDOUT, 'one'], [STDERR, 'err'], [STDOUT, 'two']);
  truncateSync(store.paths.stdout, 4);
  store.open();
  assert.deepEqual(records(store), [
    [1, 4],
    [2, 3],
  ]);
  store.append(STDOUT, '+');
  assert.equal(readFileSync(store.paths.stdout, 'utf8'), 'onet+');
});

test('LogStore.open() makes good for a file that was removed', (t) => {
  const store = filled(t, [STDOUT, 'one'], [STDERR, 'err']);
  unlinkSync(store.paths.stderr);
  store.open();
  assert.deepEqual(records(store), [[1, 3]]);
  assert.deepEqual(store.end, { stdout: 3, stderr: 0, order: 16 });
});

test('LogStore.open() reads an order log of many blocks', (t) => {
  const store = newStore(t);
  const count = 10_000;
  const record = Buffer.alloc(RECORD_BYTES);
  record.writeUInt32LE(2, 8);
  record.writeUInt8(STDOUT, 12);
  writeFileSync(store.paths.order, Buffer.concat(Array<Buffer>(count).fill(record)));
  writeFileSync(store.paths.stdout, 'ab'.repeat(count));
  store.open();
  assert.deepEqual(store.end, { stdout: 2 * count, stderr: 0, order: count * RECORD_BYTES });
});

test('LogStore.refresh() tells the end between runs and leaves the files closed', (t) => {
  const store = filled(t, [STDOUT, 'one']);
  const other = new LogStore(store.paths.order.replace(/\/[^/]*$/, ''), 'ab');
  assert.deepEqual(other.end, { stdout: 0, stderr: 0, order: 0 });
  other.refresh();
  assert.deepEqual(other.end, { stdout: 3, stderr: 0, order: 16 });
  assert.equal(other.isOpen, false);
});

test('LogStore refuses to append between runs', (t) => {
  const store = filled(t, [STDOUT, 'one']);
  assert.throws(() => store.append(STDOUT, 'x'), { message: `The log ${store.paths.order} is not open` });
});

test('LogStore.growth() resolves at an append, at the end of the run, and when it is aborted', async (t) => {
  const store = newStore(t);
  store.open();
  const { signal } = new AbortController();
  const waits = [store.growth(signal), store.growth(signal)];
  store.append(STDOUT, 'x');
  await Promise.all(waits);
  const last = store.growth(signal);
  const given = new AbortController();
  const aborted = store.growth(given.signal);
  given.abort();
  await aborted;
  await store.growth(AbortSignal.abort());
  store.close();
  await last;
});

test('LogStore.checkIsWhole() tells, with the first reason, that the end of a run is lost, until the next run', (t) => {
  const store = newStore(t);
  store.open();
  store.checkIsWhole();
  const reason = new Error('no space left');
  store.giveUp(reason);
  store.giveUp(new Error('a later one'));
  const lost = { message: 'Cannot keep the output of container ab to its end: no space left', cause: reason };
  assert.throws(() => store.checkIsWhole(), lost);
  store.close();
  assert.throws(() => store.checkIsWhole(), lost, 'also when the run is over');
  store.open();
  store.checkIsWhole();
});

test('decodeRecords() passes over a torn record', () => {
  assert.deepEqual(decodeRecords(Buffer.alloc(RECORD_BYTES - 1)), []);
  assert.equal(decodeRecords(Buffer.alloc(2 * RECORD_BYTES + 5)).length, 2);
});
