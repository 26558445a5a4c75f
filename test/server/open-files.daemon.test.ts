// A daemon that may have few files open, or has none left: it says so to whoever wants something new, and keeps what runs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFrame, FrameType } from '../../src/rcli/frames.js';
import { processesOf, TestDaemon, readAll, until, type TestNetwork } from '../harness.js';
import { connectAll, framedCall, removeAll } from '../soak/loads.js';
import { filesAtRest, openFilesOf, SOCKETS_AT_REST } from '../soak/while-probed.js';

const FEW = 256;
/** What the daemon takes of them for connections. */
const CONNECTIONS = FEW / 4;
const NO_START = `Error: Cannot start: too many open files; the daemon may have ${FEW} (ulimit -n), and keeps the last for what runs already\n`;
const LINES = 200;
/** A clock tick of /proc, in milliseconds. */
const TICK_MS = 10;

/** For a daemon whose process has the limit from its beginning. */
const fewFiles: TestNetwork = {
  enter: ['prlimit', `--nofile=${FEW}:${FEW}`],
  address: '127.0.0.1',
  environment: process.env,
  guard: () => undefined,
  clean: () => Promise.resolve(),
};

/** What the process has had of the processors so far, in milliseconds. */
function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** The number that the next open file would have. */
function lowestFree(pid: number): number {
  const taken = new Set(readdirSync(`/proc/${pid}/fd`));
  let fd = 0;
  while (taken.has(String(fd))) fd++;
  return fd;
}

/** The number of the file that node keeps, to take a connection with it, and cut it, where there is no other; -1 for none. */
function sparedNumber(pid: number): number {
  const isSpared = (fd: string): boolean => {
    try {
      return Number(fd) > 2 && readlinkSync(`/proc/${pid}/fd/${fd}`) === '/dev/null';
    } catch {
      return false; // it has been closed meanwhile
    }
  };
  return Number(readdirSync(`/proc/${pid}/fd`).find(isSpared) ?? -1);
}

/** How many open files a process may have at most, and what sets how many it may have now. */
function openFileLimits(pid: number): { hard: string; limit: (soft: number | string) => void } {
  const [, hard = ''] = /^Max open files +\d+ +(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1')) ?? [];
  return { hard, limit: (soft) => void execFileSync('prlimit', ['--pid', String(pid), `--nofile=${soft}:${hard}`]) };
}

test('tsdock -d takes as many connections as its open files allow, and tells the others why not', async () => {
  const daemon = await TestDaemon.start({ network: fewFiles, args: ['--bridge', 'none'], withImage: false });
  try {
    const idle = await connectAll(daemon, CONNECTIONS);
    const refused = `Error: Too many connections: at most ${CONNECTIONS} are allowed at once\n`;
    assert.equal(await daemon.call('ps'), refused);
    assert.deepEqual(await framedCall(daemon, 'ps'), { stderr: refused, status: '{"status":1}' });
    const { status, stderr } = await daemon.tsdock(['ps']);
    assert.deepEqual({ status, stderr }, { status: 1, stderr: refused });
    for (const socket of idle) socket.destroy();
    await until(async () => (await daemon.call('ps')).startsWith('ID '), 'it takes calls again');
  } finally {
    await daemon.close();
  }
});

test('Server.CmdRun() is refused before the last open file is taken, and everything else goes on', async () => {
  const daemon = await TestDaemon.start({ network: fewFiles, args: ['--bridge', 'none'] });
  try {
    const ids: string[] = [];
    let reply = '';
    for (; reply !== NO_START; reply = await daemon.call('run', 'base', 'sleep', '600')) {
      assert.match(reply, /^([0-9a-f]{8}\n)?$/, `after ${ids.length} containers`);
      if (reply !== '') ids.push(reply.trim());
      assert.ok(ids.length < FEW);
    }
    assert.ok(ids.length > 10, `only ${ids.length} containers`);
    assert.equal((await daemon.tsdock(['run', 'base', 'true'])).status, 125);
    const running = (await daemon.call('ps', '-q')).split('\n').filter(Boolean);
    assert.deepEqual(running.sort(), [...ids].sort());
    const [first = ''] = ids.splice(0, 1);
    assert.equal(await daemon.call('kill', first), '');
    assert.equal(await daemon.stopped(first), '-1');
    assert.match(await daemon.call('run', '-a', 'base', 'echo', 'room again'), /^room again\n$/);
  } finally {
    await daemon.close();
  }
});

test('tsdock -d that has no open file left loses no output and no exit, and is idle until there are some', async () => {
  const daemon = await TestDaemon.start({ withImage: true });
  const { hard, limit } = openFileLimits(daemon.pid);
  try {
    const script = `while ! [ -e /go ]; do usleep 10000; done; i=0; while [ $i -lt ${LINES} ]; do echo line $i; i=$((i + 1)); usleep 5000; done; exit 3`;
    const id = (await daemon.call('run', 'base', 'sh', '-c', script)).trim();
    const expected = Array.from({ length: LINES }, (_, i) => `line ${i}\n`).join('');
    const atRest = await filesAtRest(daemon.pid, SOCKETS_AT_REST);
    const spared = sparedNumber(daemon.pid);
    const sockets = [...SOCKETS_AT_REST];
    while (lowestFree(daemon.pid) < spared) {
      // A limit below its number would take that one away, too. A call that waits takes the free number.
      sockets.push('socket:');
      (await daemon.connect()).write(`["wait","${id}"]\n`);
      await daemon.call('ps'); // behind it: it has been taken
      await filesAtRest(daemon.pid, sockets);
    }
    limit(lowestFree(daemon.pid));
    writeFileSync(join(daemon.directory, 'containers', id, 'rootfs', 'go'), '');
    // Callers are told, or cut; nobody hangs.
    for (let i = 0; i < 5; i++) {
      const socket = await daemon.connect();
      socket.end('["ps"]\n');
      const reply = (await readAll(socket)).toString();
      assert.match(reply, /^(Error: [^\n]+\n)?$/);
    }
    const log = join(daemon.directory, 'containers', id, `${id}-stdout.log`);
    await until(() => readFileSync(log, 'utf8') === expected, 'all output is in the log');
    const before = cpuMs(daemon.pid);
    await sleep(1_000); // a stretch of time, in which it should do nothing
    assert.ok(cpuMs(daemon.pid) - before < 500, `${cpuMs(daemon.pid) - before} ms of work`);
    limit(hard);
    assert.equal(await daemon.stopped(id), '3');
    assert.equal(await daemon.call('logs', id), expected);
    await removeAll(daemon, [id]);
    const left = await filesAtRest(daemon.pid, SOCKETS_AT_REST);
    assert.ok(left.length <= atRest.length, `${openFilesOf(daemon.pid).length} of ${atRest.length} open`);
  } finally {
    limit(hard);
    await daemon.close();
  }
});

test('tsdock -d that has no open file left passes the end of input on as soon as there is one', async () => {
  const daemon = await TestDaemon.start();
  const { hard, limit } = openFileLimits(daemon.pid);
  try {
    const socket = await daemon.connect();
    socket.write(`${JSON.stringify(['run', '-a', '-i', 'base', 'sh', '-c', 'cat; echo ended'])}\ntyped\n`);
    const [id] = await new Promise<string[]>((resolve) =>
      socket.once('data', () => resolve(readdirSync(join(daemon.directory, 'containers')))),
    );
    const reply = readAll(socket);
    const isHeld = (): boolean => {
      const [holder = ''] = processesOf(daemon.directory).filter((line) => line.endsWith('sleep infinity'));
      return readlinkSync(`/proc/${holder.split(' ')[1]}/fd/0`) !== '/dev/null';
    };
    const folder = join(daemon.directory, 'containers', id ?? '');
    const stdin = join(folder, 'stdin');
    // What its record is written with is free again then, and would be enough to pass the end on.
    await until(() => !existsSync(join(folder, 'unsynced')), 'the run is on record');
    limit(lowestFree(daemon.pid));
    socket.end();
    await until(() => !openFilesOf(daemon.pid).includes(stdin), 'the daemon has let go of it');
    assert.ok(isHeld());
    limit(hard);
    assert.equal((await reply).toString(), 'ended\n');
  } finally {
    limit(hard);
    await daemon.close();
  }
});

test('tsdock -d that has no open file left does not cut a caller whose terminal gets another size, which is told later', async () => {
  const daemon = await TestDaemon.start();
  const { hard, limit } = openFileLimits(daemon.pid);
  try {
    const script = 'echo ready; until [ "$(stty size)" = "41 101" ]; do usleep 20000; done; echo sized';
    const socket = await daemon.connect();
    let heard = '';
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1')));
    const args = ['run', '-a', '-i', '-t', 'base', 'sh', '-c', script];
    socket.write(`${JSON.stringify({ frames: 1, args, tty: { rows: 24, cols: 80 } })}\n`);
    await until(() => heard.includes('ready'), 'the program runs');
    limit(lowestFree(daemon.pid));
    for (const rows of [40, 41]) socket.write(encodeFrame(FrameType.window, JSON.stringify({ rows, cols: 101 })));
    socket.write(encodeFrame(FrameType.stdin, 'typed\n'));
    await until(() => heard.includes('typed') || heard.includes('Error'), 'the daemon has taken the sizes');
    limit(hard);
    await until(() => heard.includes('{"status":'), 'the program has ended');
    assert.match(heard, /sized[^]*\{"status":0\}/);
    assert.doesNotMatch(heard, /Error/);
  } finally {
    limit(hard);
    await daemon.close();
  }
});
