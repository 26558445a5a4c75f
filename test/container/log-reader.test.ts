// Reading logs: in order of arrival, from a place on, following, and never further than the reader takes.

import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { readLog, readStream, tailPosition, type LogSink, type ReadOptions } from '../../src/container/log-reader.js';
import { STDERR, STDOUT, type StreamNumber } from '../../src/container/log-records.js';
import { LogStore } from '../../src/container/log-store.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** On a machine that is busy with other tests. */
const DEADLINE_MS = 20_000;
const START = { stdout: 0, stderr: 0, order: 0 };
const NEVER = new AbortController().signal;
const ALL: ReadOptions = { from: START, follow: false, stdout: true, stderr: true, separate: false, signal: NEVER };

/** An open store with these chunks. */
function storeWith(t: TestContext, ...chunks: [StreamNumber, string][]): LogStore {
  const store = new LogStore(temporaryFolder(t), 'ab');
  t.after(() => store.close());
  store.open();
  for (const [stream, text] of chunks) store.append(stream, text);
  return store;
}

/** A sink that collects pieces as [stream, text]. */
function collect(): { pieces: [StreamNumber, string][]; sink: LogSink; text: () => string } {
  const pieces: [StreamNumber, string][] = [];
  const sink: LogSink = async (stream, piece) => void pieces.push([stream, piece.toString()]);
  return { pieces, sink, text: () => pieces.map(([, text]) => text).join('') };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await sleep(2);
  }
}

test('readLog() reads both streams in order of arrival, neighbours in one piece', async (t) => {
  const store = storeWith(t, [STDOUT, 'a'], [STDOUT, 'b'], [STDERR, 'E'], [STDOUT, 'c']);
  const { pieces, sink } = collect();
  await readLog(store, ALL, sink);
  assert.deepEqual(pieces, [
    [1, 'ab'],
    [2, 'E'],
    [1, 'c'],
  ]);
});

test('readLog() hands each record out by itself, with its time, where that is wanted', async (t) => {
  const store = storeWith(t, [STDOUT, 'a'], [STDOUT, 'b']);
  const times: bigint[] = [];
  await readLog(store, { ...ALL, separate: true }, async (_stream, _piece, timeNs) => void times.push(timeNs));
  assert.equal(times.length, 2);
  assert.ok(times.every((time) => time > 1_600_000_000_000_000_000n));
});

test('readLog() reads one stream alone, also from a place in the middle', async (t) => {
  const store = storeWith(t, [STDOUT, 'a'], [STDERR, 'E1']);
  const from = store.end;
  store.append(STDERR, 'E2');
  store.append(STDOUT, 'b');
  const out = collect();
  await readLog(store, { ...ALL, stderr: false }, out.sink);
  assert.equal(out.text(), 'ab');
  const later = collect();
  await readLog(store, { ...ALL, from, stdout: false }, later.sink);
  assert.deepEqual(later.pieces, [[2, 'E2']]);
});

test('readLog() reads what many records tell of', async (t) => {
  const lines = Array.from({ length: 3_000 }, (_, i) => `${i}\n`);
  const store = storeWith(t, ...lines.map((line, i): [StreamNumber, string] => [i % 3 === 0 ? STDERR : STDOUT, line]));
  const { sink, text } = collect();
  await readLog(store, ALL, sink);
  assert.equal(text(), lines.join(''));
});

test('readLog() cuts a long record into pieces of a bounded size', async (t) => {
  const long = 'x'.repeat(1_000_000);
  const store = storeWith(t, [STDOUT, long]);
  const { pieces, sink, text } = collect();
  await readLog(store, ALL, sink);
  assert.ok(pieces.length > 1 && pieces.every(([, piece]) => piece.length <= 256 * 1024));
  assert.equal(text().length, long.length);
});

test('readLog() reads to the end of what is there, and not on, without follow', async (t) => {
  const store = storeWith(t, [STDOUT, 'now']);
  const { sink, text } = collect();
  await readLog(store, ALL, sink);
  store.append(STDOUT, 'later');
  assert.equal(text(), 'now');
});

test('readLog() follows until the run is over, and misses nothing at its end', async (t) => {
  const store = storeWith(t, [STDOUT, 'first ']);
  const { sink, text } = collect();
  const done = readLog(store, { ...ALL, follow: true }, sink);
  await until(() => text() === 'first ', 'the beginning is read');
  store.append(STDERR, 'second ');
  await until(() => text() === 'first second ', 'the growth is read');
  store.append(STDOUT, 'last');
  store.close();
  await done;
  assert.equal(text(), 'first second last');
});

test('readLog() ends at once where a run that is over is followed', async (t) => {
  const store = storeWith(t, [STDOUT, 'x']);
  store.close();
  const { sink, text } = collect();
  await readLog(store, { ...ALL, follow: true }, sink);
  assert.equal(text(), 'x');
});

test('readLog() ends when it is aborted: while it waits, and between pieces', async (t) => {
  const store = storeWith(t, [STDOUT, 'x'.repeat(1_000_000)]);
  const waiting = new AbortController();
  const { sink, text } = collect();
  const done = readLog(store, { ...ALL, follow: true, signal: waiting.signal }, sink);
  await until(() => text().length === 1_000_000, 'all is read');
  waiting.abort();
  await done;
  const between = new AbortController();
  let count = 0;
  await readLog(store, { ...ALL, signal: between.signal }, async () => {
    count++;
    between.abort();
  });
  assert.equal(count, 1);
});

test('readLog() asks for no piece before the last one is taken', async (t) => {
  const store = storeWith(t, [STDOUT, 'a'], [STDERR, 'b'], [STDOUT, 'c']);
  let underWay = 0;
  let most = 0;
  await readLog(store, ALL, async () => {
    most = Math.max(most, ++underWay);
    await nextTurn();
    underWay--;
  });
  assert.equal(most, 1);
});

test('readLog() lets a slow reader hold up neither the log nor another reader', async (t) => {
  const store = storeWith(t, [STDOUT, 'a']);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const slow = collect();
  const slowDone = readLog(store, { ...ALL, follow: true }, async (...args) => {
    await held;
    await slow.sink(...args);
  });
  const quick = collect();
  const quickDone = readLog(store, { ...ALL, follow: true }, quick.sink);
  for (let i = 0; i < 100; i++) store.append(STDOUT, 'b');
  store.close();
  await quickDone;
  assert.equal(quick.text(), `a${'b'.repeat(100)}`);
  assert.equal(slow.text(), '');
  release();
  await slowDone;
  assert.equal(slow.text(), quick.text());
});

test('readLog() rejects where the reader does', async (t) => {
  const store = storeWith(t, [STDOUT, 'a']);
  await assert.rejects(
    readLog(store, ALL, () => Promise.reject(new Error('gone'))),
    { message: 'gone' },
  );
});

test('readLog() passes over bytes that are gone, and goes on behind them', async (t) => {
  const store = storeWith(t, [STDOUT, 'lost'], [STDERR, 'kept']);
  truncateSync(store.paths.stdout, 1);
  const { pieces, sink } = collect();
  await readLog(store, ALL, sink);
  assert.deepEqual(pieces, [
    [1, 'l'],
    [2, 'kept'],
  ]);
});

test('readStream() reads all of one file, and nothing of one that is missing', async (t) => {
  const store = storeWith(t, [STDOUT, 'a'], [STDERR, 'E'], [STDOUT, 'b'.repeat(600_000)]);
  const { sink, text } = collect();
  await readStream(store, STDOUT, NEVER, sink);
  assert.equal(text(), `a${'b'.repeat(600_000)}`);
  const none = collect();
  await readStream(new LogStore(temporaryFolder(t), 'missing'), STDOUT, NEVER, none.sink);
  assert.deepEqual(none.pieces, []);
});

test('tailPosition() is where the last lines of both streams together begin', async (t) => {
  const store = storeWith(t, [STDOUT, '1\n2\n'], [STDERR, '3\n'], [STDOUT, '4\n5\n']);
  const tails = ['', '5\n', '4\n5\n', '3\n4\n5\n', '2\n3\n4\n5\n', '1\n2\n3\n4\n5\n', '1\n2\n3\n4\n5\n'];
  for (const [lines, expected] of tails.entries()) {
    const { sink, text } = collect();
    await readLog(store, { ...ALL, from: await tailPosition(store, lines) }, sink);
    assert.equal(text(), expected, `${lines} lines`);
  }
});

test('tailPosition() counts a last line without its newline', async (t) => {
  const store = storeWith(t, [STDOUT, '1\n2\nun'], [STDOUT, 'finished']);
  for (const [lines, expected] of [
    [1, 'unfinished'],
    [2, '2\nunfinished'],
  ] as const) {
    const { sink, text } = collect();
    await readLog(store, { ...ALL, from: await tailPosition(store, lines) }, sink);
    assert.equal(text(), expected);
  }
});

test('tailPosition() counts empty lines, and a line that comes in several chunks once', async (t) => {
  const store = storeWith(t, [STDOUT, 'a\n\n'], [STDOUT, '\n'], [STDOUT, 'b'], [STDOUT, 'c\n']);
  for (const [lines, expected] of [
    [1, 'bc\n'],
    [2, '\nbc\n'],
    [3, '\n\nbc\n'],
    [4, 'a\n\n\nbc\n'],
  ] as const) {
    const { sink, text } = collect();
    await readLog(store, { ...ALL, from: await tailPosition(store, lines) }, sink);
    assert.equal(text(), expected, `${lines} lines`);
  }
});

test('tailPosition() of an empty log is its beginning', async (t) => {
  assert.deepEqual(await tailPosition(storeWith(t), 10), { ...START, skip: 0 });
});

test('readLog() that follows a run whose end is lost reads what was kept, and then rejects with why', async (t) => {
  const store = storeWith(t, [STDOUT, 'kept']);
  const { text, sink } = collect();
  const following = readLog(store, { ...ALL, follow: true }, sink);
  following.catch(() => undefined); // it is looked at below
  await until(() => text() === 'kept', 'it is read');
  store.giveUp(new Error('no space left'));
  store.close();
  await assert.rejects(following, { message: 'Cannot keep the output of container ab to its end: no space left' });
  assert.equal(text(), 'kept');
  await readLog(store, ALL, sink); // who does not wait for the end is not told of it
});
