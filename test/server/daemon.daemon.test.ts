// The daemon's own start and end: when it refuses, and in which words; what its log says.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM, TestDaemon, until } from '../harness.js';

/** Starts a daemon that is expected to refuse; what it says. */
function refusal(args: string[], options: { env?: NodeJS.ProcessEnv; uid?: number } = {}): string {
  const directory = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  try {
    const given = ['-d', '-g', directory, '--bridge', 'none', '-H', '127.0.0.1:0', '--http', 'off', ...args];
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, ...given], { timeout: 20_000, ...options });
    assert.equal(status, 1, stderr.toString());
    return stderr.toString();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

test('tsdock -d refuses in one sentence when it is not root', () => {
  assert.match(refusal([], { uid: 65534 }), /^tsdock: The daemon must run as root: [^\n]+\n$/);
});

test('tsdock -d refuses in one sentence when lxc-start is missing', () => {
  assert.match(refusal([], { env: { PATH: '/nowhere' } }), /^tsdock: lxc-start is not installed: [^\n]+\n$/);
});

test('tsdock -d refuses in one sentence a mount driver that does not work, or that nobody knows', () => {
  assert.match(
    refusal(['--driver', 'nosuch']),
    /^tsdock: Unknown mount driver "nosuch": there are aufs, overlay[^\n]*\n$/,
  );
  // proc is no file system that a data directory could lie on
  assert.match(refusal(['-g', '/proc']), /^tsdock: [^\n]+\n$/);
});

test('tsdock -d refuses in one sentence an address that is none', () => {
  assert.match(refusal(['-H', 'nonsense']), /^tsdock: Invalid address "nonsense": expected HOST:PORT, [^\n]+\n$/);
});

test('tsdock -d refuses a port that is taken, and names who has it', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const said = await new Promise<string>((resolve) => resolve(refusal(['-H', `127.0.0.1:${address.port}`])));
  server.close();
  assert.match(
    said,
    new RegExp(
      `^tsdock: Cannot listen on 127\\.0\\.0\\.1:${address.port}: the port is in use by process ${process.pid} \\(.*node`,
    ),
  );
});

test('tsdock -d refuses a data directory that is taken, and names who has it', async () => {
  const daemon = await TestDaemon.start({ withImage: false });
  try {
    const said = refusal(['-g', daemon.directory]);
    assert.match(
      said,
      new RegExp(`^tsdock: The data directory ${daemon.directory} is in use by process ${daemon.pid}: [^\n]+\n$`),
    );
  } finally {
    await daemon.close();
  }
});

test('tsdock -d starts over the lock of a daemon that was killed', async () => {
  const daemon = await TestDaemon.start({ withImage: false });
  try {
    await daemon.end('SIGKILL');
    await daemon.begin();
    assert.equal(await daemon.call('ps', '-q'), '');
  } finally {
    await daemon.close();
  }
});

test('tsdock --help and -d --help tell the options', () => {
  for (const args of [['--help'], ['-d', '--help']]) {
    const { status, stdout } = spawnSync(process.execPath, [PROGRAM, ...args]);
    assert.equal(status, 0);
    for (const flag of ['-d=', '-g=', '-H=', '-http=', '-driver=', '-D='])
      assert.ok(stdout.toString().includes(`  ${flag}`), flag);
  }
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '-x']);
  assert.equal(status, 2);
  assert.match(stderr.toString(), /^tsdock: flag provided but not defined: -x\n/);
});

test('the log has one line a call; -D prints each step of it, with its call and its 2013 function', async () => {
  const daemon = await TestDaemon.start({ args: ['-D'] });
  try {
    assert.equal(await daemon.call('run', '-a', 'base', 'echo', 'a b'), 'a b\n');
    assert.equal(await daemon.call('rm', 'nosuch\nx'), 'Error: No such container: nosuch\nx\n');
    await until(() => /rm "nosuch.*: Error/.test(daemon.log), 'the last line is there');
    const lines = daemon.log.split('\n');
    assert.equal(
      lines.filter((line) => / tcp 127\.0\.0\.1:\d+ run -a base echo "a b" \(\d+ ms\): ok$/.test(line)).length,
      1,
    );
    assert.equal(
      lines.filter((line) => /rm "nosuch\\nx" \(\d+ ms\): Error: No such container: nosuch/.test(line)).length,
      1,
    );
    const steps = ['call', 'create', 'mount', 'config', 'lxc-start', 'save', 'exit', 'umount', 'index'];
    for (const step of steps)
      assert.ok(
        lines.some((line) => new RegExp(`tsdock:${step} #\\d+ \\{.*\\[.*\\.go, .*\\]$`).test(line)),
        step,
      );
  } finally {
    await daemon.close();
  }
});

test('--http off has no HTTP server', async () => {
  const daemon = await TestDaemon.start({ args: ['--http', 'off'], withImage: false });
  try {
    assert.equal(daemon.http, 'off');
    assert.match(await daemon.call('version'), /^tsdock \d+\.\d+\.\d+\nnode \d+\..*\nlxc \d+\..*\ndriver \w+\n$/);
  } finally {
    await daemon.close();
  }
});
