// Many callers, slow ones, long output, many containers: others are answered all the while, memory stays flat, and every
// descriptor comes back. The long forms: `node dist/test/soak/load.js`.

import assert from 'node:assert/strict';
import test from 'node:test';
import { fixtureTar } from '../fixture.js';
import { TestDaemon } from '../harness.js';
import { attachMany, printMuch, printWithinBound } from '../soak/long-output.js';
import { callOnEach, connectAll, removeAll, runAndRemove, sayNothing, startAtOnce } from '../soak/loads.js';
import { assertAnswered, filesAtRest, openFilesOf, peakPss, pssBytes, whileProbed } from '../soak/while-probed.js';

const MEBIBYTE = 1024 * 1024;
/** How much more memory the daemon may have than before, in bytes. */
const GROWTH_BYTES = 96 * MEBIBYTE;

let daemon: TestDaemon;
let filesAtBegin: string[];

test.before(async () => {
  daemon = await TestDaemon.start({ withImage: false });
  filesAtBegin = openFilesOf(daemon.pid);
  assert.match(await daemon.callWith(fixtureTar(), 'put', 'base'), /^base:/);
});

test.after(() => daemon.close());

test('TCP server: 1,000 open connections that each ask for ps are answered, and so are others meanwhile', async () => {
  const sockets = await connectAll(daemon, 1_000);
  const [probed] = await whileProbed(daemon, () => callOnEach(sockets, 4_000));
  assertAnswered(probed, '1,000 connections');
});

test('TCP server: 1,000 calls in one moment are answered, and so are others behind them', async () => {
  const [probed] = await whileProbed(daemon, async () => callOnEach(await connectAll(daemon, 1_000)));
  assert.deepEqual(probed.failures, []);
});

test('TCP and HTTP server: 300 callers that never send and 50 that send a byte a second are told so, and hinder nobody', async () => {
  const [probed, { tcp, http }] = await whileProbed(daemon, () => sayNothing(daemon, 300, 50));
  assertAnswered(probed, 'idle and slow callers');
  assert.equal(tcp.length + http.length, 350);
  for (const { reply, afterMs } of [...tcp, ...http])
    assert.ok(afterMs > 9_000 && afterMs < 30_000, `${afterMs} ms: ${reply}`);
  for (const { reply } of tcp) assert.equal(reply, 'Error: No call line within 10 seconds\n');
  for (const { reply } of http) {
    assert.match(reply, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.match(reply, /\r\n\r\nError: No request within 10 seconds\n$/);
  }
  await filesAtRest(daemon.pid, filesAtBegin);
});

test('Server.CmdRun() starts 200 containers in parallel while others are answered', async () => {
  const [probed, ids] = await whileProbed(daemon, () => startAtOnce(daemon, 200, 'sleep', '600'));
  assert.equal(new Set(ids).size, 200);
  const running = (await daemon.call('ps', '-q')).split('\n').filter(Boolean);
  assert.deepEqual(running.sort(), [...ids].sort());
  const [removal] = await whileProbed(daemon, () => removeAll(daemon, ids));
  assertAnswered(probed, '200 starts');
  assertAnswered(removal, '200 removals');
  await filesAtRest(daemon.pid, filesAtBegin);
});

test('Server.CmdAttach() shows one chatty container to 100 callers, of whom ten do not read', async () => {
  const [probed, [peak, before]] = await whileProbed(daemon, async () => {
    const bytes = pssBytes(daemon.pid);
    const [most] = await peakPss(daemon.pid, () =>
      attachMany(daemon, { callers: 100, silent: 10, bytes: 4 * MEBIBYTE }),
    );
    return [most, bytes] as const;
  });
  assertAnswered(probed, '100 attached callers');
  assert.ok(peak - before < GROWTH_BYTES, `${peak - before} bytes more`);
});

test('Server.CmdLogs() gives 256 MiB back, byte for byte, in bounded memory', async () => {
  const before = pssBytes(daemon.pid);
  const [probed, [peak]] = await whileProbed(daemon, () =>
    peakPss(daemon.pid, () => printMuch(daemon, 256 * MEBIBYTE)),
  );
  assertAnswered(probed, '256 MiB of output');
  assert.ok(peak - before < GROWTH_BYTES, `${peak - before} bytes more`);
});

test('tsdock -d --log-max bounds the log on disk, and who follows it gets every line once', async () => {
  const bounded = await TestDaemon.start({ args: ['--log-max', '1m'] });
  try {
    await printWithinBound(bounded, { bound: MEBIBYTE, lines: 1_000_000, linesAtOnce: 10_000 });
  } finally {
    await bounded.close();
  }
});

test('Server leaves no descriptor and no memory behind a run', async () => {
  await runAndRemove(daemon, 20, 4); // what is made once
  const files = await filesAtRest(daemon.pid, filesAtBegin);
  const before = pssBytes(daemon.pid);
  await runAndRemove(daemon, 200, 4);
  assert.deepEqual(await filesAtRest(daemon.pid, filesAtBegin), files);
  assert.ok(pssBytes(daemon.pid) - before < GROWTH_BYTES / 2, `${pssBytes(daemon.pid) - before} bytes more`);
});
