// A disk that is really full, one that the kernel has made read-only, and a process that really has no file handle left: what
// the daemon then says and does.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  openSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { LXC_LOG_ROOM_BYTES } from '../../src/container/run-subject.js';
import { fixtureTar } from '../fixture.js';
import { readAll, TestDaemon, until } from '../harness.js';

/** Ends with 3 when it is asked to. */
const ASKABLE = ['sh', '-c', 'trap "exit 3" TERM; echo up; while :; do usleep 20000; done'];
const ONE_ERROR = /^Error: [^\n]+\n$/;

/** A block of the smallest that ext4 has, in bytes. */
const BLOCK_BYTES = 1024;
/** LXC's own log has none that is shorter. */
const LESS_THAN_A_LINE = 70;

/** Mounts a small disk in memory. */
const tmpfs = (disk: string): unknown =>
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=32m,mode=0700', 'tmpfs', disk]);

/** Mounts a small disk of small blocks, none of which is kept for root. */
function ext4(disk: string): void {
  const image = `${disk}.image`;
  try {
    writeFileSync(image, '');
    truncateSync(image, 32 << 20);
    execFileSync('mkfs.ext4', ['-q', '-b', `${BLOCK_BYTES}`, '-m', '0', image]);
    execFileSync('mount', ['-o', 'loop,errors=remount-ro', image, disk]);
  } finally {
    rmSync(image, { force: true }); // the mount keeps what is in it
  }
}

/** A daemon whose data directory is a small disk of its own. */
async function onSmallDisk(
  t: TestContext,
  mount: (disk: string) => unknown = tmpfs,
): Promise<{ daemon: TestDaemon; fill: () => void; free: () => void; makeReadOnly: () => void }> {
  const disk = await realpath(await mkdtemp(join(tmpdir(), 'tsdock-test-')));
  const directory = join(disk, 'data');
  mount(disk);
  const filler = join(disk, 'filler');
  const free = (): void => rmSync(filler, { force: true });
  let isReadOnly = false;
  t.after(async () => {
    try {
      if (isReadOnly) assert.equal(await daemon.end(), 0);
      else {
        free();
        await daemon.close();
      }
    } finally {
      execFileSync('umount', ['-l', disk]);
      rmdirSync(disk);
    }
  });
  const daemon = await TestDaemon.start({ directory });
  const fill = (): void => {
    const fd = openSync(filler, 'a');
    try {
      for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
        try {
          for (;;) if (writeSync(fd, Buffer.alloc(bytes)) < bytes) break;
        } catch {
          // full: then less at a time
        }
      }
    } finally {
      closeSync(fd);
    }
  };
  // What ext4 does by itself where it finds that the disk is not as it should be.
  const makeReadOnly = (): void => {
    const device = execFileSync('findmnt', ['--noheadings', '--output', 'SOURCE', disk], { encoding: 'utf8' }).trim();
    writeFileSync(`/sys/fs/ext4/${basename(device)}/trigger_fs_error`, 'a test');
    isReadOnly = true;
  };
  return { daemon, fill, free, makeReadOnly };
}

/** Waits until a daemon is done with a container that has ended: last it gives room back, which would make the disk less full. */
async function settled(daemon: TestDaemon, id: string): Promise<void> {
  await daemon.stopped(id);
  const log = join(daemon.directory, `containers/${id}/lxc.log`);
  await until(() => statSync(log).blocks * 512 < LXC_LOG_ROOM_BYTES, 'the room is given back');
}

test('the daemon tells each caller of a full disk in one line, and keeps how a container ended on it', async (t) => {
  const { daemon, fill, free } = await onSmallDisk(t);
  const id = (await daemon.call('run', '-d', 'base', ...ASKABLE)).trim();
  const spare = (
    await daemon.call('run', '-d', 'base', 'sh', '-c', 'dd if=/dev/zero of=/data/big bs=1M count=4')
  ).trim();
  await settled(daemon, spare);
  await until(async () => (await daemon.call('logs', id)).includes('up'), 'it is up');
  fill();

  const before = [await daemon.call('images', '-q'), (await daemon.call('ps', '-a', '-q')).split('\n').sort().join()];
  for (const words of [
    ['cp', 'base', 'more'],
    ['run', '-d', 'base', 'true'],
    ['commit', spare, 'more'],
  ]) {
    const reply = await daemon.call(...words);
    assert.match(reply, ONE_ERROR);
    assert.match(reply, /no space left on device/, words.join(' '));
  }
  assert.match(await daemon.callWith(fixtureTar(), 'put', 'more'), /^Error: [^\n]*no space left on device[^\n]*\n$/);
  assert.deepEqual(
    [await daemon.call('images', '-q'), (await daemon.call('ps', '-a', '-q')).split('\n').sort().join()],
    before,
  );

  assert.equal(await daemon.call('stop', id), `${id}\n`);
  assert.equal(await daemon.call('wait', id), '3\n');
  await daemon.end('SIGKILL');
  free();
  await daemon.begin();
  assert.equal(await daemon.call('wait', id), '3\n', 'the next daemon knows it too');
});

test('the daemon knows how a container ended where the log of LXC has to grow on a disk that is full', async (t) => {
  const { daemon, fill } = await onSmallDisk(t, ext4);
  const run = async (shell: string): Promise<string> => {
    const id = (await daemon.call('run', '-d', 'base', shell, ...ASKABLE.slice(1))).trim();
    await until(async () => (await daemon.call('logs', id)).includes('up'), 'it is up');
    return id;
  };
  const logBytes = (id: string): number => statSync(join(daemon.directory, `containers/${id}/lxc.log`)).size;
  // LXC has the path of a program twice in its log: one of the right length fills a block but for less than a line.
  const missing = BLOCK_BYTES - (logBytes(await run('/bin/sh')) % BLOCK_BYTES) - LESS_THAN_A_LINE;
  const id = await run(`/bin${'/'.repeat((missing + BLOCK_BYTES) / 2)}/sh`);
  const before = logBytes(id);
  fill();
  assert.equal(await daemon.call('stop', id), `${id}\n`);
  assert.equal(await daemon.call('wait', id), '3\n');
  assert.ok(before % BLOCK_BYTES > BLOCK_BYTES - 2 * LESS_THAN_A_LINE, `${before} bytes are no full block`);
});

test('rm and reset work on a full disk, and make room', async (t) => {
  const { daemon, fill } = await onSmallDisk(t);
  const write = ['sh', '-c', 'dd if=/dev/zero of=/data/big bs=1M count=2'];
  const [first, second] = [
    await daemon.call('run', '-d', 'base', ...write),
    await daemon.call('run', '-d', 'base', ...write),
  ];
  for (const id of [first, second]) await settled(daemon, id.trim());
  fill();
  assert.match(await daemon.call('cp', 'base', 'more'), ONE_ERROR);
  assert.equal(await daemon.call('rm', first.trim()), '');
  assert.match(await daemon.call('cp', 'base', 'more'), /^more:/);
  fill();
  await daemon.call('rmi', 'more');
  assert.equal(await daemon.call('reset', second.trim()), '');
  assert.match(await daemon.call('cp', 'base', 'again'), /^again:/);
});

test('the daemon reads on from a disk that has become read-only, and changes nothing on it', async (t) => {
  const { daemon, makeReadOnly } = await onSmallDisk(t, ext4);
  const id = (await daemon.call('run', '-d', 'base', 'sh', '-c', 'echo said; echo more >/data/more')).trim();
  assert.equal(await daemon.stopped(id), '0');
  await daemon.call('cp', 'base', 'spare');
  const reading = async (): Promise<string[]> => {
    const all = [['ps', '-a', '-q'], ['images', '-q'], ['logs', id], ['diff', id], ['inspect', id], ['info']];
    return Promise.all(all.map((words) => daemon.call(...words)));
  };
  const before = await reading();
  makeReadOnly();
  for (const words of [
    ['run', '-d', 'base', 'true'],
    ['start', id],
    ['reset', id],
    ['rm', id],
    ['commit', id, 'more'],
    ['cp', 'base', 'more'],
    ['rmi', 'spare'],
  ]) {
    const reply = await daemon.call(...words);
    assert.match(reply, ONE_ERROR);
    assert.match(reply, /read-only file system/, words.join(' '));
  }
  assert.match(await daemon.callWith(fixtureTar(), 'put', 'more'), /^Error: [^\n]*read-only file system[^\n]*\n$/);
  assert.deepEqual(await reading(), before);
  assert.match(before.join(), /said\n/);
});

test('the daemon goes on, and answers each caller, when its file handles end at any step of a run', async (t) => {
  const daemon = await TestDaemon.start();
  t.after(() => daemon.close());
  const prlimit = (...words: string[]): string =>
    execFileSync('prlimit', ['--pid', `${daemon.pid}`, ...words]).toString();
  const ordinary = Number(prlimit('--nofile', '--output', 'HARD', '--noheadings'));
  const limit = (handles: number): unknown => prlimit(`--nofile=${handles}:${ordinary}`); // the soft one
  for (let spare = 0; spare <= 36; spare += 3) {
    // lxc-start inherits the limit, and needs some forty files: the daemon is to have more than that of its own.
    const idle = await Promise.all(Array.from({ length: 64 }, () => daemon.connect()));
    const socket = await daemon.connect();
    await until(async () => (await daemon.call('ps', '-q')) === '', 'the connection is taken, nothing runs');
    const numbers = readdirSync(`/proc/${daemon.pid}/fd`).map(Number);
    limit(Math.max(...numbers) + 1 + spare);
    socket.end(`${JSON.stringify(['run', '-a', 'base', 'echo', 'hello'])}\n`);
    const reply = (await readAll(socket)).toString();
    limit(ordinary);
    for (const connection of idle) connection.destroy();
    assert.match(reply, /^(hello\n|Error: [^\n]+\n)$/, `${spare} handles`);
    await until(
      async () => {
        const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
        return ids.length === (reply === 'hello\n' ? 1 : 0);
      },
      `what is there fits the reply ${JSON.stringify(reply)} with ${spare} handles`,
    );
    const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
    if (ids.length > 0) assert.equal(await daemon.call('rm', '-f', ...ids), '');
  }
});
