// Waiting for FIFOs and processes outside of node's own loop.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, copyFileSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mkfifo } from '../../src/linux/pipe.js';
import { Poller, type Readiness } from '../../src/linux/poller.js';
import {
  pidfdGetfd,
  pidfdOpen,
  pidfdSendSignal,
  processArguments,
  processChildren,
  processStartTicks,
  withPidfd,
} from '../../src/linux/process.js';
import { processExit } from '../../src/linux/process-exit.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const { O_RDONLY, O_WRONLY, O_NONBLOCK } = constants;
/** No process has it: the kernel's highest pid is lower. */
const NO_PID = 0x7fff_fff0;

function newPoller(t: TestContext): Poller {
  const poller = new Poller();
  t.after(() => poller.close());
  return poller;
}

function fifo(t: TestContext): { reading: number; writing: number } {
  const path = join(temporaryFolder(t), 'fifo');
  mkfifo(path, 0o600);
  const reading = openSync(path, O_RDONLY | O_NONBLOCK);
  t.after(() => closeSync(reading));
  return { reading, writing: openSync(path, O_WRONLY) };
}

/** A process that sleeps and ends with the test. */
function sleeper(t: TestContext): { pid: number; ended: Promise<unknown[]> } {
  const child = spawn('sleep', ['30'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  const ended = once(child, 'close');
  assert.ok(child.pid !== undefined);
  return { pid: child.pid, ended };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
    await sleep(2);
  }
}

test('Poller.add() calls back when data is there', async (t) => {
  const poller = newPoller(t);
  const { reading, writing } = fifo(t);
  t.after(() => closeSync(writing));
  const seen: Readiness[] = [];
  poller.add(reading, (ready) => seen.push(ready));
  await sleep(20);
  assert.deepEqual(seen, []);
  writeSync(writing, 'x');
  await until(() => seen.length > 0, 'it is called');
  assert.deepEqual(seen, [{ readable: true, hungUp: false }]);
});

test('Poller.add() calls back when all writers are gone', async (t) => {
  const poller = newPoller(t);
  const { reading, writing } = fifo(t);
  const seen: Readiness[] = [];
  poller.add(reading, (ready) => seen.push(ready));
  writeSync(writing, 'x');
  closeSync(writing);
  await until(() => seen.length > 0, 'it is called');
  poller.rearm(reading);
  await until(() => seen.at(-1)?.hungUp === true, 'the hang-up is told');
});

test('Poller is silent after a callback until rearm(), which tells of data that is still there', async (t) => {
  const poller = newPoller(t);
  const { reading, writing } = fifo(t);
  t.after(() => closeSync(writing));
  let count = 0;
  poller.add(reading, () => count++);
  writeSync(writing, 'x');
  await until(() => count === 1, 'it is called');
  writeSync(writing, 'y');
  await sleep(20);
  assert.equal(count, 1);
  poller.rearm(reading);
  await until(() => count === 2, 'it is called again');
  readSync(reading, Buffer.alloc(10));
  poller.rearm(reading);
  await sleep(20);
  assert.equal(count, 2);
});

test('Poller.remove() forgets a descriptor, also one that is not watched', async (t) => {
  const poller = newPoller(t);
  const { reading, writing } = fifo(t);
  t.after(() => closeSync(writing));
  poller.add(reading, () => assert.fail('it was removed'));
  poller.remove(reading);
  poller.remove(reading);
  poller.rearm(reading);
  writeSync(writing, 'x');
  await sleep(20);
});

test('Poller tells many descriptors apart', async (t) => {
  const poller = newPoller(t);
  const seen = new Set<number>();
  const pairs = Array.from({ length: 100 }, () => fifo(t));
  pairs.forEach(({ reading }, i) => poller.add(reading, () => seen.add(i)));
  pairs.forEach(({ writing }, i) => {
    if (i % 2 === 0) writeSync(writing, 'x');
  });
  await until(() => seen.size === 50, 'all are told');
  assert.ok([...seen].every((i) => i % 2 === 0));
  for (const { writing, reading } of pairs) {
    poller.remove(reading);
    closeSync(writing);
  }
});

test('Poller.add() fails for what is no descriptor', (t) => {
  assert.throws(() => newPoller(t).add(999_999, () => undefined), { code: 'EBADF', syscall: 'epoll_ctl' });
});

test('Poller.close() ends the wait, also where nothing was ever watched', async () => {
  await new Poller().close();
});

test('processExit() resolves when a process ends, and at once where there is none', async (t) => {
  const poller = newPoller(t);
  const { pid } = sleeper(t);
  let isOver = false;
  const exit = processExit(poller, pid).then(() => (isOver = true));
  await sleep(20);
  assert.equal(isOver, false);
  withPidfd(pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGKILL'));
  await exit;
  await processExit(poller, NO_PID);
});

test('pidfdSendSignal() sends a signal, and says where the process has ended', async (t) => {
  const { pid, ended } = sleeper(t);
  const pidfd = pidfdOpen(pid);
  t.after(() => closeSync(pidfd));
  assert.equal(pidfdSendSignal(pidfd, 'SIGTERM'), true);
  assert.deepEqual(await ended, [null, 'SIGTERM']);
  assert.equal(pidfdSendSignal(pidfd, 'SIGTERM'), false);
});

test('pidfdOpen() fails where there is no process, and withPidfd() is undefined', () => {
  assert.throws(() => pidfdOpen(NO_PID), { code: 'ESRCH', flags: 'pidfd_open', path: `process ${NO_PID}` });
  assert.equal(
    withPidfd(NO_PID, () => assert.fail('there is no process')),
    undefined,
  );
});

test('withPidfd() closes its handle, also where its body throws', () => {
  let handle = -1;
  assert.throws(() =>
    withPidfd(process.pid, (pidfd) => {
      handle = pidfd;
      throw new Error('why');
    }),
  );
  assert.throws(() => closeSync(handle), { code: 'EBADF' });
});

test('pidfdGetfd() copies a descriptor', (t) => {
  const { reading, writing } = fifo(t);
  const copy = withPidfd(process.pid, (pidfd) => pidfdGetfd(pidfd, writing));
  assert.ok(copy !== undefined && copy !== writing);
  closeSync(writing);
  writeSync(copy, 'through the copy');
  closeSync(copy);
  const buffer = Buffer.alloc(100);
  assert.equal(buffer.toString('utf8', 0, readSync(reading, buffer)), 'through the copy');
});

test('processStartTicks() and processArguments() tell of a process, and of none', async (t) => {
  const { pid } = sleeper(t);
  await until(() => processArguments(pid)[0] === 'sleep', 'it is the program');
  assert.deepEqual(processArguments(pid), ['sleep', '30']);
  const ticks = processStartTicks(pid);
  assert.ok(ticks !== undefined && ticks >= (processStartTicks(process.pid) ?? Infinity));
  assert.ok(processChildren(process.pid).includes(pid));
  assert.deepEqual([processStartTicks(NO_PID), processArguments(NO_PID), processChildren(NO_PID)], [undefined, [], []]);
});

test('processStartTicks() reads past a program whose name holds parentheses and spaces', async (t) => {
  const path = join(temporaryFolder(t), 'a) 1 (b');
  copyFileSync('/bin/sleep', path);
  const child = spawn(path, ['30'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  const own = processStartTicks(process.pid) ?? Infinity;
  const ticks = processStartTicks(child.pid ?? 0);
  assert.ok(ticks !== undefined && ticks >= own && ticks < own + 100 * 60);
});
