// From real FIFOs and a real terminal into the log.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, constants, mkdirSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeRecords, STDERR, STDOUT } from '../../src/container/log-records.js';
import { LogStore } from '../../src/container/log-store.js';
import { OutputPump } from '../../src/container/output-pump.js';
import { mkfifo, setPipeSize } from '../../src/linux/pipe.js';
import { Poller } from '../../src/linux/poller.js';
import { openPeer, openRawPty } from '../../src/linux/pty.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** What fills most of a disk of 1 MiB, and what is more than the rest: a FIFO takes it at once. */
const FILLER_BYTES = 768 * 1024;
const OUTPUT_BYTES = 512 * 1024;
/** On a machine, and a disk, that is busy with other tests. */
const DEADLINE_MS = 20_000;

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;

interface Setup {
  store: LogStore;
  poller: Poller;
  /** a FIFO: what the pump reads, and what the program writes to, which the test closes */
  fifo: (name: string) => { reading: number; writing: number };
  log: (stream: 'stdout' | 'stderr') => string;
  problems: unknown[];
}

function setUp(t: TestContext): Setup {
  const folder = temporaryFolder(t);
  const store = new LogStore(folder, 'ab');
  store.open();
  const poller = new Poller();
  t.after(async () => {
    store.close();
    await poller.close();
  });
  const fifo = (name: string): { reading: number; writing: number } => {
    const path = join(folder, name);
    mkfifo(path, 0o600);
    const reading = openSync(path, O_RDONLY | O_NONBLOCK);
    setPipeSize(reading, 1024 * 1024);
    return { reading, writing: openSync(path, O_WRONLY) };
  };
  return { store, poller, fifo, log: (stream) => readFileSync(store.paths[stream], 'utf8'), problems: [] };
}

/** An open log on a disk that has room for the beginning of `OUTPUT_BYTES` only, until it is freed. */
function onFullDisk(t: TestContext): { store: LogStore; free: () => void } {
  const disk = join(temporaryFolder(t), 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'tmpfs', disk]);
  const store = new LogStore(disk, 'ab');
  store.open();
  t.after(() => store.close());
  const filler = join(disk, 'filler');
  writeFileSync(filler, Buffer.alloc(FILLER_BYTES));
  return { store, free: () => rmSync(filler) };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await sleep(2);
  }
}

test('OutputPump moves what comes into the log, and ends with the last writer', async (t) => {
  const { store, poller, fifo, log, problems } = setUp(t);
  const { reading, writing } = fifo('stdout');
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  writeSync(writing, 'one\n');
  await until(() => log('stdout') === 'one\n', 'the first line is in the log');
  writeSync(writing, 'two\n');
  closeSync(writing);
  await pump.ended;
  assert.equal(log('stdout'), 'one\ntwo\n');
  assert.deepEqual(store.end.stdout, 8);
  assert.deepEqual(problems, []);
});

test('OutputPump keeps the streams apart and their order', async (t) => {
  const { store, poller, fifo, log, problems } = setUp(t);
  const [out, err] = [fifo('stdout'), fifo('stderr')];
  const sources = [
    { stream: STDOUT, fifo: out.reading },
    { stream: STDERR, fifo: err.reading },
  ] as const;
  const pump = new OutputPump(poller, store, [...sources], (error) => problems.push(error));
  for (let i = 0; i < 20; i++) {
    const before = store.end.order;
    writeSync(i % 2 === 0 ? out.writing : err.writing, `${i} `);
    await until(() => store.end.order > before, `record ${i} is written`);
  }
  closeSync(out.writing);
  closeSync(err.writing);
  await pump.ended;
  const streams = decodeRecords(readFileSync(store.paths.order)).map(({ stream }) => stream);
  assert.deepEqual(
    streams,
    Array.from({ length: 20 }, (_, i) => (i % 2 === 0 ? STDOUT : STDERR)),
  );
  assert.equal(log('stderr'), '1 3 5 7 9 11 13 15 17 19 ');
});

test('OutputPump loses no byte of much output', async (t) => {
  const { store, poller, fifo, log, problems } = setUp(t);
  const { reading, writing } = fifo('stdout');
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  const piece = Buffer.from('0123456789abcdef'.repeat(4_096));
  for (let i = 0; i < 64; i++) {
    writeSync(writing, piece); // blocks where the pump is slower
    await sleep(0);
  }
  closeSync(writing);
  await pump.ended;
  assert.ok(log('stdout') === piece.toString().repeat(64));
  const sum = decodeRecords(readFileSync(store.paths.order)).reduce((total, { length }) => total + length, 0);
  assert.equal(sum, 64 * piece.length);
});

test('OutputPump.finish() moves what is still on the way, though somebody holds the FIFO open', async (t) => {
  const { store, poller, fifo, log, problems } = setUp(t);
  const { reading, writing } = fifo('stdout');
  t.after(() => closeSync(writing));
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  writeSync(writing, 'last words');
  pump.finish();
  await pump.ended;
  assert.equal(log('stdout'), 'last words');
});

test('OutputPump.finish() moves what was printed after the last look, before the daemon got to see its result', async (t) => {
  const { poller, fifo, problems } = setUp(t);
  const { reading, writing } = fifo('stdout');
  t.after(() => closeSync(writing));
  let looks = 0;
  class BusyStore extends LogStore {
    override target(stream: typeof STDOUT | typeof STDERR): { fd: number; position: number } {
      if (++looks === 1) queueMicrotask(printAndEnd);
      return super.target(stream);
    }
  }
  const store = new BusyStore(temporaryFolder(t), 'ab');
  store.open();
  t.after(() => store.close());
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  function printAndEnd(): void {
    // The main thread is busy while a thread of the pool finds the FIFO empty; meanwhile the program prints and ends.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    writeSync(writing, 'last words');
    pump.finish();
  }
  await pump.ended;
  assert.equal(readFileSync(store.paths.stdout, 'utf8'), 'last words');
});

test('OutputPump ends at once without a source', async (t) => {
  const { store, poller } = setUp(t);
  await new OutputPump(poller, store, [], () => undefined).ended;
});

test('OutputPump tells once why the log cannot be written, and ends though the last words are lost', async (t) => {
  const { store, poller, fifo, problems } = setUp(t);
  const { reading, writing } = fifo('stdout');
  store.close();
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  writeSync(writing, 'lost');
  await until(() => problems.length > 0, 'the problem is told');
  pump.finish();
  closeSync(writing);
  await pump.ended;
  assert.equal(problems.length, 1);
  assert.match(String(problems[0]), /is not open/);
  assert.throws(
    () => store.checkIsWhole(),
    /^Error: Cannot keep the output of container ab to its end: .*is not open$/,
  );
});

test('OutputPump keeps the program waiting, not its output lost, while a disk that is full takes no more', async (t) => {
  const { poller, fifo, problems } = setUp(t);
  const { store, free } = onFullDisk(t);
  const { reading, writing } = fifo('stdout');
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  const output = randomBytes(OUTPUT_BYTES);
  writeSync(writing, output); // the FIFO takes all of it
  await until(() => problems.length > 0, 'the problem is told');
  assert.match(String(problems[0]), /no space left on device/);
  assert.ok(store.end.stdout < output.length);
  free();
  closeSync(writing);
  await pump.ended;
  assert.ok(readFileSync(store.paths.stdout).equals(output));
  store.checkIsWhole();
  assert.equal(problems.length, 1);
});

test('OutputPump.finish() on a disk that is full keeps the beginning, and says that the end is lost', async (t) => {
  const { poller, fifo, problems } = setUp(t);
  const { store } = onFullDisk(t);
  const { reading, writing } = fifo('stdout');
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  const output = randomBytes(OUTPUT_BYTES);
  writeSync(writing, output);
  await until(() => problems.length > 0, 'the problem is told');
  pump.finish();
  closeSync(writing);
  await pump.ended;
  const kept = readFileSync(store.paths.stdout);
  assert.ok(kept.length > 0 && kept.length < output.length && output.subarray(0, kept.length).equals(kept));
  assert.throws(
    () => store.checkIsWhole(),
    /^Error: Cannot keep the output of container ab to its end: .*no space left/,
  );
});

test('OutputPump writes what it could not keep once the log can be written again', async (t) => {
  const { store, poller, fifo, log, problems } = setUp(t);
  const { reading, writing } = fifo('stdout');
  store.close();
  const pump = new OutputPump(poller, store, [{ stream: STDOUT, fifo: reading }], (error) => problems.push(error));
  writeSync(writing, 'kept');
  await until(() => problems.length > 0, 'the problem is told');
  store.open();
  await until(() => log('stdout') === 'kept', 'it is in the log');
  closeSync(writing);
  await pump.ended;
});

test('OutputPump empties a terminal, byte for byte, until it is told to finish', async (t) => {
  const { store, poller, log, problems } = setUp(t);
  const folder = temporaryFolder(t);
  mkfifo(join(folder, 'stdout'), 0o600);
  const fifo = openSync(join(folder, 'stdout'), O_RDWR | O_NONBLOCK);
  const { master } = openRawPty();
  const program = openPeer(master);
  const source = { stream: STDOUT, fifo, terminal: { master, peer: openPeer(master) } } as const;
  const pump = new OutputPump(poller, store, [source], (error) => problems.push(error));
  writeSync(program, 'a\nb\r\n\x04\x03');
  await until(() => log('stdout').length === 7, 'it is in the log');
  writeSync(program, 'end');
  await until(() => log('stdout').length === 10, 'the end is in the log');
  closeSync(program);
  pump.finish();
  await pump.ended;
  assert.equal(log('stdout'), 'a\nb\r\n\x04\x03end');
  assert.deepEqual(problems, []);
});
