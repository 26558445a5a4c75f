// The client at its edges: no daemon, a lost one, signals, pipes.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { PROGRAM, TestDaemon, until } from '../harness.js';

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

test('an absent daemon is one sentence: which address was tried, and how to start one', async () => {
  const { status, stdout, stderr } = await daemon.tsdock(['ps'], '', { DOCKER: '127.0.0.1:1' });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /^tsdock: Cannot reach a daemon at 127\.0\.0\.1:1 \(connection refused\): start one with "sudo tsdock -d", or set DOCKER=HOST:PORT\n$/,
  );
});

test('a lost daemon is one sentence, and the container goes on', async () => {
  const { result } = daemon.client(['run', '-c', 'left alone', 'base', 'sleep', '100']);
  await until(async () => /left alone/.test(await daemon.call('ps')), 'it runs');
  await daemon.end('SIGKILL');
  const { status, stderr } = await result;
  assert.equal(status, 1);
  assert.match(stderr, /^tsdock: Lost the daemon at 127\.0\.0\.1:\d+ before the call ended: [^\n]+\n$/);
  await daemon.begin();
  assert.match(await daemon.call('ps'), /left alone/);
});

test('TSDOCK_VERBATIM=1 sends the words as they are', async () => {
  const { stdout } = await daemon.tsdock(['run', 'base', 'true'], '', { TSDOCK_VERBATIM: '1' });
  assert.match(stdout, /^[0-9a-f]{8}\n$/);
});

test("SIGINT and SIGTERM without a terminal are the program's", async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const script = `trap "echo caught; exit 5" ${signal.slice(3)}; echo up; while :; do usleep 20000; done`;
    const { child, result } = daemon.client(['run', 'base', 'sh', '-c', script]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill(signal);
    const { status, stdout } = await result;
    assert.deepEqual({ status, stdout }, { status: 5, stdout: 'up\ncaught\n' });
  }
});

test('a reader that goes away ends the client', async () => {
  const { child, result } = daemon.client(['run', '-c', 'endless', 'base', 'yes']);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  child.stdout?.destroy();
  assert.equal((await result).status, 1);
  const [id = ''] = /^\w{8}(?=.*endless)/m.exec(await daemon.call('ps')) ?? [];
  assert.equal(await daemon.call('rm', '-f', id), '');
});

test('input that the program does not read holds nothing up', async () => {
  const result = await daemon.tsdock(
    ['run', '-i', '-a', 'base', 'sh', '-c', 'read x; echo "$x"'],
    `first\n${'x'.repeat(3_000_000)}`,
  );
  assert.deepEqual({ status: result.status, stdout: result.stdout }, { status: 0, stdout: 'first\n' });
});

test('megabytes of input reach the program whole', async () => {
  const input = Buffer.alloc(20_000_000, 'tsdock');
  const { stdout } = await daemon.tsdock(['run', '-i', '-a', 'base', 'sha256sum'], input);

  assert.equal(stdout, `${createHash('sha256').update(input).digest('hex')}  -\n`);
});

test('a reply that its reader takes slowly arrives whole', async () => {
  const id = (await daemon.call('run', 'base', 'seq', '1', '150000')).trim();
  await daemon.stopped(id);
  // a pipe of the shell: that is where the end of the output was cut
  const script = '"$0" "$1" logs "$2" | { sleep 0.3; sha256sum; }';
  const env = { ...process.env, DOCKER: `127.0.0.1:${daemon.tcp.port}` };
  const { stdout, stderr } = await promisify(execFile)('sh', ['-c', script, process.execPath, PROGRAM, id], { env });
  const expected = Array.from({ length: 150_000 }, (_, i) => `${i + 1}\n`).join('');
  assert.equal(stdout, `${createHash('sha256').update(expected).digest('hex')}  -\n`);
  assert.equal(stderr, '');
});
