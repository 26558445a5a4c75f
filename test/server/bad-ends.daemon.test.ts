// What ends badly ends cleanly: whatever happens to a container from outside, its end is on record as it was, and nothing of
// it is left on the machine.

import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import test from 'node:test';
import { containerInit, waitForProgram } from '../../src/lxc/container-init.js';
import { findLxcStarts } from '../../src/lxc/lxc-start.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { startDaemon, startMachine } from '../daemon-of-test.js';
import { CANNOT_PRELOAD, cgroupsOf, mountsBelow, processesOf, TestDaemon, until, whatStays } from '../harness.js';

const DEADLINE_MS = 60_000;
const HOUR_MS = 3_600_000;
const SHIFTED_CLOCK = new URL('shifted-clock.js', import.meta.url).href;

/** Starts a container, and waits until its program runs. */
async function run(daemon: TestDaemon, ...words: string[]): Promise<string> {
  const id = (await daemon.call('run', ...words)).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  assert.ok(await waitForProgram(lxcStart(daemon, id), DEADLINE_MS));
  return id;
}

function lxcStart(daemon: TestDaemon, id: string): number {
  const process = findLxcStarts(join(daemon.directory, 'containers')).get(id);
  assert.ok(process !== undefined, `container ${id} runs`);
  return process.pid;
}

function init(daemon: TestDaemon, id: string): number {
  const pid = containerInit(lxcStart(daemon, id));
  assert.ok(pid !== undefined);
  return pid;
}

const folderOf = (daemon: TestDaemon, id: string): string => join(daemon.directory, 'containers', id);

/** Nothing of the container is on the machine but its files. */
async function assertNothingLeft(daemon: TestDaemon, id: string): Promise<void> {
  const { directory } = daemon;
  const left = await whatStays(() => [...mountsBelow(directory), ...processesOf(directory), ...cgroupsOf([id])]);
  assert.deepEqual(left, []);
  const streams = readdirSync(folderOf(daemon, id)).filter((name) => ['stdin', 'stdout', 'stderr'].includes(name));
  assert.deepEqual(streams, []);
}

/** The end of a container is told alike by everybody who can be asked. */
async function assertKilled(daemon: TestDaemon, id: string): Promise<void> {
  assert.equal(await daemon.call('wait', id), '-1\n');
  assert.match(await daemon.call('ps', '-a'), new RegExp(`^${id} .* Exit -1 `, 'm'));
  const { State } = JSON.parse(await daemon.call('inspect', id)) as { State: Record<string, unknown> }; // the daemon made it
  assert.deepEqual([State['Running'], State['ExitCode'], State['Signal']], [false, -1, 9]);
  const saved = (): string => readFileSync(join(folderOf(daemon, id), 'config.json'), 'utf8');
  await until(() => saved().includes('"Running":false,"Pid":0,"ExitCode":-1'), 'its end is on disk');
}

test('lxc-start that is taken away while the daemon runs: run and start are refused in one line, nothing is left', async (t) => {
  const bin = temporaryFolder(t);
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter((each) => existsSync(each)))
    for (const name of readdirSync(folder))
      if (!existsSync(join(bin, name))) symlinkSync(join(folder, name), join(bin, name));
  const path = process.env['PATH'];
  process.env['PATH'] = bin; // of the daemon, which is started with it
  t.after(() => void (process.env['PATH'] = path));
  const daemon = await startDaemon(t);
  const id = (await daemon.call('run', '-i', 'base', 'cat')).trim();
  await daemon.call('kill', id);
  await daemon.stopped(id);
  rmSync(join(bin, 'lxc-start'), { force: true });
  for (const words of [
    ['run', 'base', 'true'],
    ['run', '-i', 'base', 'cat'],
    ['run', '-t', 'base', 'sh'],
    ['start', id],
  ])
    assert.match(
      await daemon.call(...words),
      /^Error: Cannot spawn lxc-start: [^\n]*install the package lxc[^\n]*\n$/,
      words.join(),
    );
  assert.equal(await daemon.call('ps', '-a', '-q'), `${id}\n`);
  await assertNothingLeft(daemon, id);
  assert.deepEqual(readdirSync(join(daemon.directory, 'containers')), [id]);
  assert.equal((await daemon.tsdock(['run', 'base', 'true'])).status, 125);
});

for (const flags of [[], ['-t'], ['-i']])
  test(`lxc-start killed from outside (run ${flags.join(' ')}): the container is on record as killed, nothing is left`, async (t) => {
    const daemon = await startDaemon(t);
    // One that has changed its user is not told that its parent has ended, and would go on.
    const id = await run(
      daemon,
      ...flags,
      '-u',
      'alice',
      'base',
      'sh',
      '-c',
      'echo up; while :; do usleep 10000; done',
    );
    await until(async () => /^up/.test(await daemon.call('logs', id)), 'it is up');
    const program = init(daemon, id);
    process.kill(lxcStart(daemon, id), 'SIGKILL');
    await assertKilled(daemon, id);
    await until(() => !existsSync(`/proc/${program}`), 'its program has ended');
    await assertNothingLeft(daemon, id);
    assert.match(await daemon.call('logs', id), /^up\r?\n$/);
    assert.equal(await daemon.call('start', id), `${id}\n`);
    await daemon.call('kill', id);
    await daemon.stopped(id);
  });

test('lxc-start killed from outside gives back address, port and interface', async (t) => {
  const { machine, daemon } = await startMachine(t);
  const id = await run(daemon, '-p', '8000:80', 'base', 'sleep', '1000');
  process.kill(lxcStart(daemon, id), 'SIGKILL');
  await assertKilled(daemon, id);
  const links = (): string =>
    execFileSync(machine.enter[0] ?? '', [...machine.enter.slice(1), 'ip', 'link']).toString();
  await until(() => !links().includes(`veth${id}`), 'its interface has gone');
  const again = (await daemon.call('run', '-p', '8000:80', 'base', 'sleep', '1000')).trim();
  assert.match(again, /^[0-9a-f]{8}$/);
});

test('the first process killed from outside: the container is on record as killed, the client has 137', async (t) => {
  const daemon = await startDaemon(t);
  const { result } = daemon.client(['run', 'base', 'sleep', '1000']);
  await until(() => findLxcStarts(join(daemon.directory, 'containers')).size === 1, 'it has begun');
  const [[id, { pid }] = ['', { pid: 0 }]] = findLxcStarts(join(daemon.directory, 'containers'));
  assert.ok(await waitForProgram(pid, DEADLINE_MS));
  process.kill(init(daemon, id), 'SIGKILL');
  assert.equal((await result).status, 137);
  await assertKilled(daemon, id);
  await assertNothingLeft(daemon, id);
});

test('the first process of a container with a terminal killed from outside: the same', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, '-t', 'base', 'sleep', '1000');
  process.kill(init(daemon, id), 'SIGKILL');
  await assertKilled(daemon, id);
  await assertNothingLeft(daemon, id);
});

test('a holder that is gone, and cannot be started again by the next daemon: every line is kept once, the end is seen', async (t) => {
  const bin = temporaryFolder(t);
  for (const folder of (process.env['PATH'] ?? '').split(delimiter).filter((each) => existsSync(each)))
    for (const name of readdirSync(folder))
      if (name !== 'sleep' && !existsSync(join(bin, name))) symlinkSync(join(folder, name), join(bin, name));
  const daemon = await startDaemon(t);
  const script =
    'i=0; while [ ! -e /data/stop ]; do echo out $i; echo err $i >&2; i=$((i+1)); usleep 500; done; exit 3';
  const id = (await daemon.call('run', 'base', 'sh', '-c', script)).trim();
  await until(async () => (await daemon.call('logs', id)).includes('out 99\n'), 'it prints');
  await daemon.end('SIGKILL');
  for (const line of processesOf(daemon.directory).filter((each) => each.endsWith('sleep infinity')))
    process.kill(Number(line.split(' ')[1]), 'SIGKILL');
  const path = process.env['PATH'];
  process.env['PATH'] = bin;
  t.after(() => void (process.env['PATH'] = path));
  await daemon.begin();
  process.env['PATH'] = path;
  await daemon.logged(new RegExp(`container ${id}: Cannot start sleep infinity: `));
  const { length } = await daemon.call('logs', id);
  await until(async () => (await daemon.call('logs', id)).length > 2 * length, 'it has printed as much again');
  await daemon.call('write', id, '/data/stop');
  assert.equal(await daemon.stopped(id), '3');
  const lines = (await daemon.call('logs', id)).split('\n').slice(0, -1);
  const stderr = lines.findIndex((line) => line.startsWith('err '));
  assert.deepEqual(
    lines,
    lines.map((_, i) => (i < stderr ? `out ${i}` : `err ${i - stderr}`)),
  );
  await assertNothingLeft(daemon, id);
});

test('the root unmounted by hand: the running program goes on to its own end, and a stopped one starts again', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'sh', '-c', 'until test -e /go; do usleep 10000; done; cat /go; exit 6');
  const rootfs = join(folderOf(daemon, id), 'rootfs');
  execFileSync('umount', ['-l', rootfs]);
  assert.match(await daemon.call('ps'), new RegExp(`^${id} .* Up `, 'm'));
  const inside = `/proc/${init(daemon, id)}/root`;
  writeFileSync(`${inside}/going`, 'gone on\n'); // it goes on as soon as there is a file of that name, full or not
  renameSync(`${inside}/going`, `${inside}/go`);
  assert.equal(await daemon.call('wait', id), '6\n');
  assert.equal(await daemon.call('logs', id), 'gone on\n');
  await until(() => mountsBelow(daemon.directory).length === 0, 'nothing is mounted');
  await assertNothingLeft(daemon, id);
  await daemon.call('mount', id);
  execFileSync('umount', [rootfs]);
  assert.equal(await daemon.call('cat', id, '/go'), 'gone on\n');
  execFileSync('umount', [rootfs]);
  assert.equal(await daemon.call('umount', id), 'Error: Umount: Filesystem not mounted\n');
  assert.equal(await daemon.call('start', id), `${id}\n`);
  assert.equal(await daemon.call('wait', id), '6\n');
  assert.equal(await daemon.call('rm', id), '');
});

test('a program that goes over its memory limit: the status says killed', async (t) => {
  const daemon = await startDaemon(t);
  const id = (
    await daemon.call('run', 'base', 'sh', '-c', 'test -e /data/again || exit 0; exec tail /dev/zero')
  ).trim();
  await daemon.stopped(id);
  await daemon.callWith('', 'write', id, '/data/again');
  await daemon.call('umount', id);
  // No flag of 2013 sets it: the record does.
  await daemon.end();
  const path = join(folderOf(daemon, id), 'config.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"Ram":0', '"Ram":16777216'));
  await daemon.begin();
  const { status } = await daemon.tsdock(['start', '-a', id]);
  assert.equal(status, 137);
  await assertKilled(daemon, id);
  await assertNothingLeft(daemon, id);
  assert.match(readFileSync(join(folderOf(daemon, id), 'config.lxc'), 'utf8'), /memory.* = 16777216$/m);
});

test('stop of a program that ignores TERM: ten seconds, then killed; -t chooses, also none', async (t) => {
  const daemon = await startDaemon(t);
  const ids = [];
  for (let i = 0; i < 3; i++)
    ids.push(await run(daemon, 'base', 'sh', '-c', 'trap "echo term" TERM; echo up; while :; do usleep 10000; done'));
  for (const id of ids) await until(async () => (await daemon.call('logs', id)) === 'up\n', 'it is up');
  const stop = async (...words: string[]): Promise<number> => {
    const began = performance.now();
    assert.equal(await daemon.call('stop', ...words), `${words.at(-1) ?? ''}\n`);
    return performance.now() - began;
  };
  const [standard, two, none] = await Promise.all([
    stop(ids[0] ?? ''),
    stop('-t', '2', ids[1] ?? ''),
    stop('-t', '0', ids[2] ?? ''),
  ]);
  assert.ok(standard >= 10_000 && standard < 25_000, `${standard} ms`);
  assert.ok(two >= 2_000 && two < 9_900, `${two} ms`);
  assert.ok(none < 9_900, `${none} ms`);
  for (const id of ids) {
    await assertKilled(daemon, id);
    await assertNothingLeft(daemon, id);
  }
  assert.equal(await daemon.call('logs', ids[0] ?? ''), 'up\nterm\n');
});

test('a root that the host still uses at the end: unmounted all the same, and the log names who uses it', async (t) => {
  const users: ChildProcess[] = [];
  t.after(() => users.forEach((each) => each.kill('SIGKILL')));
  const daemon = await startDaemon(t, { args: ['--driver', 'overlay'] });
  const id = await run(daemon, 'base', 'sleep', '1000');
  const rootfs = join(folderOf(daemon, id), 'rootfs');
  const user = spawn('sleep', ['1000'], { cwd: join(rootfs, 'data'), stdio: 'ignore' });
  users.push(user);
  await until(() => readFileSync(`/proc/${String(user.pid)}/comm`, 'utf8') === 'sleep\n', 'it stands there');
  const told = (): number =>
    daemon.log.split(`${rootfs} is in use by ${String(user.pid)} (sleep): taken from sight`).length - 1;
  assert.equal(await daemon.call('stop', '-t', '0', id), `${id}\n`);
  await daemon.stopped(id);
  await assertNothingLeft(daemon, id);
  await until(() => told() === 1, 'the log says so');
  assert.equal(await daemon.call('start', id), `${id}\n`);
  assert.equal(await daemon.call('kill', id), '');
  user.kill('SIGKILL');
});

test('lxc-start that hangs: kill ends the container all the same, and other calls are answered meanwhile', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'sleep', '1000');
  process.kill(lxcStart(daemon, id), 'SIGSTOP');
  let isKilled = false;
  const killing = daemon.call('kill', id).finally(() => (isKilled = true));
  assert.match(await daemon.call('ps'), new RegExp(`^${id} `, 'm'));
  assert.ok(!isKilled, 'ps is answered first: what hangs is given two seconds');
  assert.equal(await killing, '');
  await assertKilled(daemon, id);
  await assertNothingLeft(daemon, id);
});

test('a clock that is set back: no negative ages, timeouts as long as ever, containers and logs whole', async (t) => {
  if (CANNOT_PRELOAD !== false) return t.skip(CANNOT_PRELOAD);
  const folder = temporaryFolder(t);
  const offset = join(folder, 'offset');
  writeFileSync(offset, String(2 * HOUR_MS));
  const environment = { NODE_OPTIONS: `--import=${SHIFTED_CLOCK}`, TSDOCK_TEST_CLOCK: offset };
  const daemon = await startDaemon(t, { environment });
  const script =
    'trap "echo term" TERM; echo before; until test -e /data/go; do usleep 10000; done; echo after; while :; do usleep 10000; done';
  const id = await run(daemon, '-c', 'first', 'base', 'sh', '-c', script);
  await until(async () => (await daemon.call('logs', id)) === 'before\n', 'it is up');
  const [created] = /"Created": "[^"]+"/.exec(await daemon.call('inspect', id)) ?? [];
  assert.ok(created !== undefined && Date.parse(created.slice(12, -1)) > Date.now() + HOUR_MS, created);
  const stopping = daemon.call('stop', '-t', '6', id); // by then all of the following has been done
  const began = performance.now();
  await until(async () => (await daemon.call('logs', id)) === 'before\nterm\n', 'it was asked');
  writeFileSync(offset, String(-2 * HOUR_MS));
  writeFileSync(`/proc/${init(daemon, id)}/root/data/go`, '');
  assert.equal(await stopping, `${id}\n`);
  const tookMs = performance.now() - began;
  assert.ok(tookMs > 5_000 && tookMs < 60_000, `${tookMs} ms`);
  const later = await run(daemon, '-c', 'second', 'base', 'sleep', '1000');
  const table = await daemon.call('ps', '-a');
  assert.match(table, new RegExp(`^${id} .* Less than a second ago +Exit -1 +first$`, 'm'));
  assert.match(table, new RegExp(`^${later} .* Up `, 'm'));
  assert.doesNotMatch(table + (await daemon.call('images')), /-\d+ (seconds|minutes|hours)|NaN/);
  assert.match(await daemon.call('logs', '-f', '-t', id), /^\S+Z before\n\S+Z term\n\S+Z after\n$/);
  assert.match(await daemon.call('commit', id, 'base'), /^base:/);
  const [newest = ''] = (await daemon.call('images', '-q', 'base')).split('\n');
  assert.equal((await daemon.call('run', '-a', newest, 'ls', '/data/go')).trim(), '/data/go');
  assert.equal(
    await daemon.call('run', '-a', 'base', 'ls', '/data/go'),
    '/data/go\n',
    'the newest is what was made last',
  );
  // The next daemon knows them too, whatever their times.
  await daemon.end('SIGKILL');
  await daemon.begin();
  assert.match(await daemon.call('ps'), new RegExp(`^${later} .* Up [^-]*second$`, 'm'));
  assert.equal(await daemon.call('kill', later), '');
  assert.equal(await daemon.call('wait', later), '-1\n');
});
