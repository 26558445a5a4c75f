// A bounded log: the oldest goes, what is left is whole, and a daemon may be killed at every step.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readLog, readStream, tailPosition } from '../../src/container/log-reader.js';
import { decodeRecords, MAX_CHUNK_BYTES, STDERR, STDOUT, type StreamNumber } from '../../src/container/log-records.js';
import { LogStore } from '../../src/container/log-store.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { appendLines } from './append-lines.js';

const BOUND = 8 * 1024;
const DEADLINE_MS = 30_000;
const ROTATIONS_BEFORE = [0, 1, 2];
const START = { stdout: 0, stderr: 0, order: 0 };
const NEVER = new AbortController().signal;
const ALL = { from: START, follow: false, stdout: true, stderr: true, separate: false, signal: NEVER };
const KILLED = fileURLToPath(new URL('rotate-and-die.js', import.meta.url));

/** An open store with a bound. */
function boundedStore(t: TestContext, folder = temporaryFolder(t), bound = BOUND): LogStore {
  const store = new LogStore(folder, 'ab', bound);
  t.after(() => store.close());
  store.open();
  return store;
}

function bytesIn(folder: string): number {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

async function textOf(store: LogStore, stream?: StreamNumber): Promise<string> {
  const pieces: string[] = [];
  const sink = async (_stream: StreamNumber, piece: Buffer): Promise<void> => void pieces.push(piece.toString());
  if (stream === undefined) await readLog(store, ALL, sink);
  else await readStream(store, stream, NEVER, sink);
  return pieces.join('');
}

/** The lines of it, without what `appendLines` fills up with. */
function linesOf(text: string): string[] {
  return text.replaceAll('.', '').split(/(?<=\n)/);
}

test('LogStore.makeRoom() keeps all files together within the bound, and the newest half of it', async (t) => {
  const folder = temporaryFolder(t);
  const store = boundedStore(t, folder);
  const all: string[] = [];
  for (let i = 0; i < 6; i++) {
    all.push(...(await appendLines(store, 1, all.length)));
    assert.ok(bytesIn(folder) <= BOUND, `${bytesIn(folder)} bytes after ${i + 1} rotations`);
    const kept = linesOf(await textOf(store));
    assert.deepEqual(kept, all.slice(-kept.length), 'the newest lines, each once, in their order');
    if (i > 0) assert.ok(bytesIn(folder) > BOUND / 2);
  }
  assert.deepEqual(
    readdirSync(folder).sort(),
    ['order', 'stderr', 'stdout'].flatMap((name) => [`ab-${name}.log`, `ab-${name}.log.1`]),
  );
});

test('LogStore.makeRoom() does nothing while there is room, nor ever without a bound', async (t) => {
  const store = boundedStore(t);
  store.append(STDOUT, 'one\n');
  await store.makeRoom();
  assert.equal(existsSync(`${store.paths.order}.1`), false);
  const unbounded = new LogStore(temporaryFolder(t), 'ab');
  unbounded.open();
  t.after(() => unbounded.close());
  truncateSync(unbounded.paths.stdout, 2 ** 40);
  unbounded.close();
  unbounded.open();
  assert.equal(unbounded.room, MAX_CHUNK_BYTES);
});

test('LogStore.makeRoom() frees the space of the oldest at once, though a reader has it open and begins no other', async (t) => {
  const store = boundedStore(t);
  await appendLines(store, 2, 0);
  const reader = openSync(`${store.paths.stdout}.1`, 'r');
  t.after(() => closeSync(reader));
  store.append(STDOUT, '.'.repeat(store.room));
  const [, newer] = store.generations;
  const done = store.makeRoom();
  assert.deepEqual(store.generations, [newer], 'from the first moment on');
  await done;
  assert.equal(fstatSync(reader).size, 0);
});

test('LogStore leaves the raw bytes of each stream in its file, and the records that tell of them', async (t) => {
  const store = boundedStore(t);
  await appendLines(store, 2, 0);
  for (const ending of ['', '.1']) {
    const size = { stdout: 0, stderr: 0 };
    for (const { stream, length } of decodeRecords(readFileSync(store.paths.order + ending)))
      size[stream === STDOUT ? 'stdout' : 'stderr'] += length;
    assert.equal(readFileSync(store.paths.stdout + ending).length, size.stdout, ending);
    assert.equal(readFileSync(store.paths.stderr + ending).length, size.stderr, ending);
  }
});

test('LogStore.open() goes on with both parts of the log, with a bound or without', async (t) => {
  const folder = temporaryFolder(t);
  const store = boundedStore(t, folder);
  const lines = await appendLines(store, 3, 0);
  const before = await textOf(store);
  store.close();
  for (const bound of [BOUND, 0]) {
    const next = new LogStore(folder, 'ab', bound);
    next.refresh();
    assert.equal(await textOf(next), before);
  }
  const next = boundedStore(t, folder);
  const more = await appendLines(next, 1, lines.length);
  const kept = linesOf(await textOf(next));
  assert.deepEqual(kept, [...lines, ...more].slice(-kept.length));
});

test('readLog() follows over rotations: every byte once, in its order', async (t) => {
  const store = boundedStore(t);
  const pieces: Buffer[] = [];
  const following = readLog(store, { ...ALL, follow: true }, async (_stream, piece) => {
    pieces.push(Buffer.from(piece));
  });
  const lines: string[] = [];
  const deadline = performance.now() + DEADLINE_MS;
  for (let i = 0; i < 12; i++) {
    lines.push(...(await appendLines(store, 1, lines.length)));
    // It keeps up: it has read all before the next rotation.
    const read = (): number => linesOf(Buffer.concat(pieces).toString()).filter((line) => line !== '').length;
    while (read() < lines.length) {
      assert.ok(performance.now() < deadline, `${read()} of ${lines.length} lines`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  store.close();
  await following;
  assert.deepEqual(linesOf(Buffer.concat(pieces).toString()), lines);
});

test('readLog() goes on with the oldest that is left where a reader was too slow', async (t) => {
  const store = boundedStore(t);
  const lines = await appendLines(store, 0, 0);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const pieces: string[] = [];
  const reading = readLog(store, { ...ALL, follow: true }, async (_stream, piece) => {
    pieces.push(piece.toString());
    await held;
  });
  while (pieces.length === 0) await new Promise((resolve) => setImmediate(resolve));
  lines.push(...(await appendLines(store, 5, lines.length)));
  const kept = linesOf(await textOf(store));
  store.close();
  release();
  await reading;
  const read = linesOf(pieces.join(''));
  assert.deepEqual(read.slice(-kept.length), kept);
  assert.ok(read.length < lines.length);
  assert.deepEqual(read, [...new Set(read)], 'no line twice');
});

test('readLog() and tailPosition() begin at places of both parts', async (t) => {
  const store = boundedStore(t);
  await appendLines(store, 2, 0);
  const kept = (await textOf(store)).split(/(?<=\n)/);
  for (const count of [1, 2, kept.length - 1, kept.length]) {
    const pieces: string[] = [];
    const from = await tailPosition(store, count);
    await readLog(store, { ...ALL, from }, async (_stream, piece) => void pieces.push(piece.toString()));
    assert.equal(pieces.join(''), kept.slice(-count).join(''), `${count} of ${kept.length} lines`);
  }
  const pieces: string[] = [];
  await readLog(store, { ...ALL, from: store.end }, async (_stream, piece) => void pieces.push(piece.toString()));
  assert.deepEqual(pieces, []);
});

test('readStream() reads both parts of one stream', async (t) => {
  const store = boundedStore(t);
  await appendLines(store, 2, 0);
  for (const [stream, path] of [
    [STDOUT, store.paths.stdout],
    [STDERR, store.paths.stderr],
  ] as const)
    assert.equal(await textOf(store, stream), readFileSync(`${path}.1`, 'utf8') + readFileSync(path, 'utf8'));
});

test('readStream() goes on behind a part that is removed while it reads', async (t) => {
  const store = boundedStore(t, temporaryFolder(t), 2 * 1024 * 1024);
  for (const letter of ['a', 'b']) {
    while (store.room > 0) store.append(STDOUT, letter.repeat(store.room));
    await store.makeRoom();
  }
  store.append(STDOUT, 'c');
  const pieces: string[] = [];
  await readStream(store, STDOUT, NEVER, async (_stream, piece) => {
    pieces.push(piece.toString());
    if (pieces.length > 1) return;
    while (store.room > 0) store.append(STDOUT, 'c'.repeat(store.room));
    await store.makeRoom();
  });
  assert.match(pieces.join(''), /^b+c$/);
  assert.equal(pieces.join('').length < 1024 * 1024, true, 'the rest of the part that was being read is gone');
});

for (const rotations of ROTATIONS_BEFORE) {
  test(`LogStore: a daemon that is killed at any step of rotation ${rotations + 1} leaves a log to go on with`, async (t) => {
    const folder = temporaryFolder(t);
    for (let step = 0; ; step++) {
      const own = join(folder, String(step));
      mkdirSync(own);
      const { status, signal, stderr } = spawnSync(process.execPath, [
        KILLED,
        own,
        String(BOUND),
        String(rotations),
        String(step),
      ]);
      if (status === 0) {
        assert.ok(step > 9, `only ${step} steps`);
        return;
      }
      assert.equal(signal, 'SIGKILL', stderr.toString());
      const store = boundedStore(t, own);
      const numbers = linesOf(await textOf(store)).map((line) => Number(line.slice(5)));
      assert.ok(numbers.length > 20, `step ${step}: ${numbers.length} lines`);
      for (const [i, number] of numbers.entries()) {
        const before = numbers[i - 1];
        const first = 1_000_000 * (rotations + 1);
        if (before !== undefined && number !== first) assert.equal(number, before + 1, `step ${step}: a gap`);
      }
      assert.deepEqual(
        readdirSync(own).filter((name) => name.endsWith('.new')),
        [],
      );
      assert.ok(bytesIn(own) <= BOUND);
      const more = await appendLines(store, 2, 0);
      const kept = linesOf(await textOf(store));
      assert.deepEqual(kept, more.slice(-kept.length), `step ${step}: it goes on`);
      store.close();
      rmSync(own, { recursive: true });
    }
  });
}

test('LogStore.open() puts the older part away where its order log is gone, and leaves what it does not know', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'ab-stdout.log.1'), 'half removed');
  writeFileSync(join(folder, 'ab-stdout.log'), 'kept\n');
  writeFileSync(join(folder, 'notes'), '');
  const store = boundedStore(t, folder);
  assert.equal(store.end.stdout, 5);
  assert.deepEqual(readdirSync(folder).sort(), ['ab-order.log', 'ab-stderr.log', 'ab-stdout.log', 'notes']);
});
