// Containers that print much: for many callers at once, into a long log, and into one that is bounded.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { until, type TestDaemon } from '../harness.js';
import { beginCall, digestOf, type Digest } from './loads.js';

/** How long the longest of it may take, in milliseconds. */
const DEADLINE_MS = 120_000;
/** How long it may take until all are attached. */
const ATTACH_MS = 60_000;
/** What a container is sent, and says, until everybody is attached. */
const KNOCK = 'knock';
/** The line that is printed again and again, in bytes. */
const LINE = `${'0123456789abcdef'.repeat(3)}0123456789abcde\n`;

/** One container that prints so many bytes, once all are attached; those that are `silent` never read. */
export async function attachMany(
  daemon: TestDaemon,
  { callers, silent, bytes }: { callers: number; silent: number; bytes: number },
): Promise<void> {
  const script = `while read word && [ $word = ${KNOCK} ]; do echo ${KNOCK}; done; echo; ${printing(bytes)}; read end`;
  const id = (await daemon.call('run', '-i', 'base', 'sh', '-c', script)).trim();
  const quiet = await Promise.all(Array.from({ length: silent }, () => beginCall(daemon, 'attach', id)));
  for (const socket of quiet) socket.pause();
  const readers = Array.from({ length: callers - silent }, () => new AttachedReader());
  const reading = Promise.all(readers.map(async (reader) => reader.read(await beginCall(daemon, 'attach', id))));
  const driver = await beginCall(daemon, 'attach', '-i', '-o=false', id);
  const isAttached = (): boolean => {
    driver.write(`${KNOCK}\n`);
    return readers.every(({ isAttached }) => isAttached);
  };
  await until(isAttached, `${callers} callers are attached`, ATTACH_MS);
  driver.write('go\n');
  await until(() => readers.every((reader) => reader.bytes >= bytes), 'all who read have all of it', DEADLINE_MS);
  assert.equal(await daemon.call('kill', id), '');
  await reading;
  const { sha256 } = digestOfPrinted(bytes);
  for (const reader of readers) assert.equal(reader.sha256, sha256);
  for (const socket of [...quiet, driver]) socket.destroy();
  assert.equal(await daemon.call('rm', id), '');
}

/** One container prints so many bytes as fast as it can; `logs` gives them back. */
export async function printMuch(daemon: TestDaemon, bytes: number): Promise<void> {
  const id = (await daemon.call('run', 'base', 'sh', '-c', printing(bytes))).trim();
  assert.equal(await daemon.stopped(id), '0');
  const expected = digestOfPrinted(bytes);
  for (const words of [['logs'], ['logs', '-f']]) {
    assert.deepEqual(await digestOf(await beginCall(daemon, ...words, id)), expected, words.join(' '));
  }
  assert.equal(await daemon.call('logs', '-tail', '2', id), LINE + LINE);
  assert.equal(await daemon.call('rm', id), '');
}

/** A container prints so many numbered lines at a pace that a follower can keep, into a log of at most `bound` bytes. */
export async function printWithinBound(
  daemon: TestDaemon,
  { bound, lines, linesAtOnce }: { bound: number; lines: number; linesAtOnce: number },
): Promise<void> {
  const count = `seq $((i + 1)) $((i + ${linesAtOnce})); i=$((i + ${linesAtOnce}))`;
  const script = `i=0; while read word; do if [ $word = ${KNOCK} ]; then echo ${KNOCK}; else ${count}; fi; done`;
  const id = (await daemon.call('run', '-i', 'base', 'sh', '-c', script)).trim();
  const folder = join(daemon.directory, 'containers', id);
  const readers = { follower: new LineCounter(), attached: new LineCounter() };
  const following = readers.follower.read(await beginCall(daemon, 'logs', '-f', id));
  const attaching = readers.attached.read(await beginCall(daemon, 'attach', id));
  const driver = await beginCall(daemon, 'attach', '-i', '-o=false', id);
  const isAttached = (): boolean => {
    driver.write(`${KNOCK}\n`);
    return Object.values(readers).every(({ isAttached }) => isAttached);
  };
  await until(isAttached, 'both read', ATTACH_MS);
  for (let printed = linesAtOnce; printed <= lines; printed += linesAtOnce) {
    driver.write('go\n');
    const isRead = (): boolean => Object.values(readers).every(({ last }) => last >= printed);
    await until(isRead, `line ${printed} has come`, DEADLINE_MS);
    assert.ok(loggedBytes(folder) <= bound, `${loggedBytes(folder)} bytes after line ${printed}`);
  }
  const text = await daemon.call('logs', id);
  const kept = text.split('\n').slice(1, -1).map(Number); // the first line may be cut
  assert.deepEqual(
    kept,
    Array.from(kept, (_, i) => lines - kept.length + 1 + i),
    'the newest lines',
  );
  assert.ok(text.length > bound / 2 - 64 * 1024, `only ${text.length} bytes are kept`);
  assert.equal(await daemon.call('logs', '-tail', '2', id), `${lines - 1}\n${lines}\n`);
  assert.match(await daemon.call('logs', '-t', '-tail', '1', id), new RegExp(`^\\d{4}-\\S+ ${lines}\\n$`));
  assert.equal(await daemon.call('kill', id), '');
  await Promise.all([following, attaching]);
  driver.destroy();
  assert.equal(readers.follower.problem ?? readers.attached.problem, undefined);
  assert.equal(await daemon.call('rm', id), '');
}

/** Reads what an attached caller gets: knocks, an empty line, and then what is to be kept as a digest. */
class AttachedReader {
  isAttached = false;
  bytes = 0;
  sha256 = '';
  readonly #hash = createHash('sha256');
  #start = '';
  #hasBegun = false;

  async read(socket: Socket): Promise<void> {
    socket.on('data', (chunk: Buffer) => {
      this.isAttached = true;
      if (this.#hasBegun) this.#take(chunk);
      else this.#lookForBegin(chunk);
    });
    await once(socket, 'end');
    socket.destroy();
    this.sha256 = this.#hash.digest('hex');
  }

  #lookForBegin(chunk: Buffer): void {
    this.#start += chunk.toString('latin1');
    const empty = this.#start.indexOf('\n\n');
    if (empty < 0) return;
    this.#hasBegun = true;
    this.#take(Buffer.from(this.#start.slice(empty + 2), 'latin1'));
  }

  #take(piece: Buffer): void {
    this.bytes += piece.length;
    this.#hash.update(piece);
  }
}

/** Reads numbered lines that must come one after the other, from 1 on; knocks may stand before them. */
class LineCounter {
  isAttached = false;
  last = 0;
  problem: string | undefined;
  #rest = '';

  async read(socket: Socket): Promise<void> {
    socket.on('data', (chunk: Buffer) => {
      this.isAttached = true;
      this.#take(chunk);
    });
    await once(socket, 'end');
    socket.destroy();
  }

  #take(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString()).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line === KNOCK) continue;
      if (Number(line) !== this.last + 1) this.problem ??= `"${line}" comes after ${this.last}`;
      this.last = Number(line);
    }
  }
}

/** What the log of a container has on disk. */
function loggedBytes(folder: string): number {
  return readdirSync(folder)
    .filter((name) => /-(stdout|stderr|order)\.log/.test(name))
    .reduce((sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

function printing(bytes: number): string {
  return `yes ${LINE.trimEnd()} | head -c ${bytes}`;
}

function digestOfPrinted(bytes: number): Digest {
  const hash = createHash('sha256');
  const block = Buffer.from(LINE.repeat(16 * 1024));
  for (let left = bytes; left > 0; left -= block.length) hash.update(block.subarray(0, Math.min(left, block.length)));
  return { bytes, sha256: hash.digest('hex') };
}
