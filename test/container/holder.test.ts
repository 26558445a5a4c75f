// The process that holds a container's streams while no daemon does.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, readFileSync, readlinkSync, readSync, realpathSync, writeSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Holder, type HeldStreams } from '../../src/container/holder.js';
import { mkfifo } from '../../src/linux/pipe.js';
import { Poller } from '../../src/linux/poller.js';
import { processStartTicks } from '../../src/linux/process.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;
/** On a machine that is busy with other tests. */
const DEADLINE_MS = 20_000;

/** A folder with two FIFOs, both open here until the test closes them. */
function fifos(t: TestContext): { folder: string; out: number; err: number } {
  const folder = realpathSync(temporaryFolder(t));
  const open = (name: string): number => {
    mkfifo(join(folder, name), 0o600);
    return openSync(join(folder, name), O_RDWR | O_NONBLOCK);
  };
  return { folder, out: open('stdout'), err: open('stderr') };
}

/** Starts a holder that ends with the test. Resolves once it has its command line, by which it is found. */
async function start(t: TestContext, streams: HeldStreams): Promise<Holder> {
  const poller = new Poller();
  const holder = await Holder.start(streams, poller);
  t.after(() => {
    holder.release();
    return poller.close();
  });
  const folder = dirname(readlinkSync(`/proc/self/fd/${streams[1]}`));
  await until(() => Holder.find().has(folder), 'it can be found');
  return holder;
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await sleep(5);
  }
}

test('Holder keeps what is in a FIFO after everybody else has closed it', async (t) => {
  const { folder, out, err } = fifos(t);
  await start(t, ['ignore', out, err]);
  writeSync(out, 'printed while no daemon ran');
  closeSync(out);
  closeSync(err);
  const again = openSync(join(folder, 'stdout'), O_RDONLY | O_NONBLOCK);
  t.after(() => closeSync(again));
  const buffer = Buffer.alloc(100);
  assert.equal(buffer.toString('utf8', 0, readSync(again, buffer)), 'printed while no daemon ran');
});

test('Holder.find() finds holders by the folder of their container', async (t) => {
  const [one, two] = [fifos(t), fifos(t)];
  for (const { out, err } of [one, two]) {
    await start(t, ['ignore', out, err]);
    closeSync(out);
    closeSync(err);
  }
  const found = Holder.find();
  assert.ok(found.has(one.folder));
  assert.ok(found.has(two.folder));
  assert.ok(!found.has(temporaryFolder(t)));
});

test('Holder.take() copies a stream that it holds', async (t) => {
  const { folder, out, err } = fifos(t);
  mkfifo(join(folder, 'stdin'), 0o600);
  const reading = openSync(join(folder, 'stdin'), O_RDONLY | O_NONBLOCK);
  const writing = openSync(join(folder, 'stdin'), O_WRONLY | O_NONBLOCK);
  await start(t, [writing, out, err]);
  for (const fd of [writing, out, err]) closeSync(fd);
  const found = Holder.find().get(folder);
  assert.ok(found);
  const copy = found.take(0);
  writeSync(copy, 'typed');
  closeSync(copy);
  const buffer = Buffer.alloc(10);
  assert.equal(buffer.toString('utf8', 0, readSync(reading, buffer)), 'typed');
  closeSync(reading);
});

test('Holder.find() ends the one with stdin of two that a killed daemon left, in whichever order they began', async (t) => {
  for (const isOlder of [true, false]) {
    const { folder, out, err } = fifos(t);
    mkfifo(join(folder, 'stdin'), 0o600);
    const stdin = openSync(join(folder, 'stdin'), O_RDWR | O_NONBLOCK);
    const begin = [() => start(t, [stdin, out, err]), () => start(t, ['ignore', out, err])];
    if (!isOlder) begin.reverse();
    for (const each of begin) await each();
    // The second may not have its command line yet.
    await until(() => Holder.find().get(folder)?.holdsStdin === false, 'the one without stdin is found');
    closeSync(stdin);
    const reading = openSync(join(folder, 'stdin'), O_RDONLY | O_NONBLOCK);
    t.after(() => closeSync(reading));
    const isAtEnd = (): boolean => {
      try {
        return readSync(reading, Buffer.alloc(1)) === 0;
      } catch {
        return false; // EAGAIN: it has not ended yet
      }
    };
    await until(isAtEnd, 'nobody holds stdin any more');
    assert.equal(Holder.find().get(folder)?.holdsStdin, false);
    for (const fd of [out, err]) closeSync(fd);
  }
});

test('Holder.release() ends it, so that a FIFO comes to its end', async (t) => {
  const { folder, out, err } = fifos(t);
  mkfifo(join(folder, 'stdin'), 0o600);
  const reading = openSync(join(folder, 'stdin'), O_RDONLY | O_NONBLOCK);
  t.after(() => closeSync(reading));
  const writing = openSync(join(folder, 'stdin'), O_WRONLY | O_NONBLOCK);
  const holder = await start(t, [writing, out, err]);
  for (const fd of [writing, out, err]) closeSync(fd);
  const buffer = Buffer.alloc(1);
  assert.throws(() => readSync(reading, buffer), { code: 'EAGAIN' }, 'somebody has the writing side');
  holder.release();
  const isAtEnd = (): boolean => {
    try {
      return readSync(reading, buffer) === 0;
    } catch {
      return false; // EAGAIN: it has not ended yet
    }
  };
  await until(isAtEnd, 'the FIFO is at its end');
  await until(() => !Holder.find().has(folder), 'it is found no more');
});

test('Holder.take() says that its holder has ended, also before its parent has reaped it', async (t) => {
  const { folder, out, err } = fifos(t);
  const holder = await start(t, ['ignore', out, err]);
  for (const fd of [out, err]) closeSync(fd);
  holder.release();
  const takeUntilItFails = (): string => {
    const deadline = performance.now() + DEADLINE_MS;
    // Without a turn of the event loop in between, so that it is not reaped.
    while (performance.now() < deadline) {
      try {
        closeSync(holder.take(1));
      } catch (error) {
        return String(error);
      }
    }
    return 'it can be taken for ever';
  };
  assert.match(takeUntilItFails(), /^Error: Cannot take over stream 1: its holder \d+ has ended$/);
  await until(() => !Holder.find().has(folder), 'it has ended');
  assert.match(takeUntilItFails(), /^Error: Cannot take over stream 1: its holder \d+ has ended$/);
  holder.release();
});

test('Holder.release() leaves a process alone that has the pid of a holder that an earlier daemon started', async (t) => {
  const { folder, out, err } = fifos(t);
  const begin = async (...command: string[]): Promise<ChildProcess> => {
    const [program = '', ...args] = command;
    const child = spawn(program, args, { stdio: ['ignore', out, err] });
    t.after(() => child.kill('SIGKILL'));
    await once(child, 'spawn');
    return child;
  };
  const end = async (child: ChildProcess): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  const before = await begin('sleep', 'infinity');
  const pid = before.pid ?? 0;
  await until(() => Holder.find().has(folder), 'it can be found');
  const holder = Holder.find().get(folder);
  assert.ok(holder);
  const startTicks = processStartTicks(pid);
  await end(before);
  const deadline = performance.now() + DEADLINE_MS;
  for (;;) {
    assert.ok(performance.now() < deadline, `waited in vain until a process has the pid ${pid} again`);
    await writeFile('/proc/sys/kernel/ns_last_pid', String(pid - 1)); // somebody else may still come first
    const other = await begin('sleep', '600');
    if (other.pid === pid && processStartTicks(pid) !== startTicks) break;
    await end(other);
  }
  assert.throws(() => holder.take(1), /its holder \d+ has ended$/);
  holder.release();
  // A signal that was sent would be there by now: it is delivered before the next one that is waited for.
  process.kill(pid, 'SIGSTOP');
  await until(() => / [TZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')), 'it has had its signals');
  assert.match(readFileSync(`/proc/${pid}/stat`, 'latin1'), / T /);
  for (const fd of [out, err]) closeSync(fd);
});
