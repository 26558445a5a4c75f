// Taking everything of a data directory off the machine, after a daemon that was killed; and what must not be touched.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { containerInit, waitForProgram } from '../../src/lxc/container-init.js';
import { Freezer } from '../../src/lxc/freezer.js';
import { findLxcStarts } from '../../src/lxc/lxc-start.js';
import { findAside } from '../../src/util/set-aside.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { cgroupsOf, mountsBelow, processesOf, PROGRAM, TestDaemon, until, type TestDaemonOptions } from '../harness.js';

const DEADLINE_MS = 60_000;

/** Cleans up; what it said. */
function clean(directory: string, ...flags: string[]): string[] {
  const { status, stdout, stderr } = runClean(directory, flags);
  assert.equal(status, 0, stderr);
  return stdout.split('\n').slice(0, -1);
}

/** Cleans up in vain; why. */
function refusal(directory: string, ...flags: string[]): string {
  const { status, stdout, stderr } = runClean(directory, flags);
  assert.equal(status, 1, stdout);
  return stderr;
}

function runClean(
  directory: string,
  flags: string[],
  uid = 0,
): { status: number | null; stdout: string; stderr: string } {
  const options = { encoding: 'utf8', timeout: DEADLINE_MS, uid } as const;
  return spawnSync(
    process.execPath,
    [PROGRAM, '-d', '--clean', '--bridge', 'none', '-g', directory, ...flags],
    options,
  );
}

/** A daemon that is gone with everything of it after the test. */
async function startDaemon(t: TestContext, options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(options);
  t.after(() => daemon.close());
  return daemon;
}

/** Starts a container, and waits until its program runs. */
async function run(daemon: TestDaemon, ...words: string[]): Promise<string> {
  const id = (await daemon.call('run', ...words)).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  assert.ok(await waitForProgram(lxcStart(daemon, id), DEADLINE_MS));
  return id;
}

function lxcStart(daemon: TestDaemon, id: string): number {
  const process = findLxcStarts(join(realpathSync(daemon.directory), 'containers')).get(id);
  assert.ok(process !== undefined, `container ${id} runs`);
  return process.pid;
}

/** Freezes a container as a person would. */
async function freeze(daemon: TestDaemon, id: string): Promise<void> {
  assert.equal(await Freezer.of(id, containerInit(lxcStart(daemon, id)) ?? 0)?.freeze(), true);
}

/** How a container's run ended, by its file. */
function stateOf(daemon: TestDaemon, id: string): { isRunning: unknown; exitCode: unknown } {
  const text = readFileSync(join(daemon.directory, 'containers', id, 'config.json'), 'utf8');
  const { State } = JSON.parse(text) as { State: Record<string, unknown> }; // a daemon wrote it
  return { isRunning: State['Running'], exitCode: State['ExitCode'] };
}

function leftOf(daemon: TestDaemon, ids: string[]): string[] {
  return [...mountsBelow(daemon.directory), ...processesOf(daemon.directory), ...cgroupsOf(ids)];
}

test('clean() ends what a killed daemon left, puts on record how it ended, and finds nothing a second time', async (t) => {
  const daemon = await startDaemon(t);
  const killed = [
    await run(daemon, 'base', 'sh', '-c', 'echo first; trap "" TERM; while :; do usleep 10000; done'),
    await run(daemon, '-t', 'base', 'sh', '-c', 'echo first; exec sleep 1000'),
    await run(daemon, '-i', 'base', 'sh', '-c', 'echo first; exec cat'),
    await run(daemon, '-i', '-t', 'base', 'sh', '-c', 'echo first; exec cat'),
    await run(daemon, 'base', 'sh', '-c', 'echo first; exec sleep 1000'),
    await run(daemon, '-t', 'base', 'sh', '-c', 'echo first; exec sleep 1000'),
  ];
  for (const id of killed) await until(async () => /^first/.test(await daemon.call('logs', id)), 'it is up');
  for (const id of killed.slice(4)) await freeze(daemon, id);
  const ended = await run(daemon, 'base', 'sh', '-c', 'until test -e /go; do usleep 1000; done; echo words; exit 5');
  const mounted = (await daemon.call('run', '-a', 'base', 'hostname')).trim();
  await daemon.call('mount', mounted);
  await daemon.end('SIGKILL');
  writeFileSync(join(daemon.directory, 'containers', ended, 'rootfs', 'go'), '');
  await until(() => !findLxcStarts(join(daemon.directory, 'containers')).has(ended), 'it ends with no daemon');
  const ids = [...killed, ended, mounted];

  const said = clean(daemon.directory);

  assert.deepEqual(leftOf(daemon, ids), []);
  for (const id of killed) {
    assert.deepEqual(stateOf(daemon, id), { isRunning: false, exitCode: -1 });
    assert.ok(said.includes(`ended container ${id}`), said.join('\n'));
  }
  assert.ok(said.includes(`unmounted ${join(daemon.directory, 'containers', mounted, 'rootfs')}`));
  assert.deepEqual(stateOf(daemon, ended), { isRunning: false, exitCode: 5 });
  assert.deepEqual(clean(daemon.directory), [`Nothing to take away of ${daemon.directory}`]);
  assert.ok(!existsSync(join('/run/lxc/lock', daemon.directory)));
  await daemon.begin();
  for (const id of killed) assert.match(await daemon.call('logs', id), /^first\r?\n$/);
  assert.equal(await daemon.call('logs', ended), 'words\n');
  assert.equal(await daemon.call('start', killed[0] ?? ''), `${killed[0] ?? ''}\n`);
});

test('clean() is refused while a daemon has the directory, and then touches nothing', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'sleep', '1000');
  for (const flags of [[], ['--data']]) {
    assert.match(
      refusal(daemon.directory, ...flags),
      new RegExp(`^tsdock: The data directory ${daemon.directory} is in use by process ${daemon.pid}: [^\\n]+\\n$`),
    );
  }
  assert.match(await daemon.call('ps'), new RegExp(`^${id} .* Up `, 'm'));
});

test('clean() with the data leaves nothing, and does not make the directory again', async (t) => {
  const daemon = await startDaemon(t);
  const ids = [await run(daemon, 'base', 'sleep', '1000'), await run(daemon, '-t', 'base', 'sh')];
  await daemon.end('SIGKILL');
  assert.equal(clean(daemon.directory, '--data').at(-1), `removed ${daemon.directory}`);
  assert.deepEqual(leftOf(daemon, ids), []);
  for (const flags of [[], ['--data']]) {
    assert.deepEqual(clean(daemon.directory, ...flags), [`Nothing to take away of ${daemon.directory}`]);
    assert.ok(!existsSync(daemon.directory));
  }
});

test('clean() keeps what a container has written, also where the union is a copy', async (t) => {
  const daemon = await startDaemon(t, { args: ['--driver', 'vfs'] });
  const id = await run(daemon, 'base', 'sh', '-c', 'echo mine > /data/mine; echo done; exec sleep 1000');
  await until(async () => (await daemon.call('logs', id)) === 'done\n', 'it has written');
  await daemon.end('SIGKILL');
  clean(daemon.directory);
  assert.equal(readFileSync(join(daemon.directory, 'containers', id, 'rw', 'data', 'mine'), 'utf8'), 'mine\n');
});

test('clean() keeps the data where something cannot be taken away, takes all else, and says what', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'sleep', '1000');
  await daemon.end('SIGKILL');
  const network = join(daemon.directory, 'network.json');
  mkdirSync(network); // where its record should be: it cannot be taken away
  assert.match(refusal(daemon.directory, '--data'), /^tsdock: Cannot clean up "\S+": [^\n]*network\.json[^\n]*\n$/);
  assert.deepEqual(leftOf(daemon, [id]), []);
  assert.deepEqual(stateOf(daemon, id), { isRunning: false, exitCode: -1 });
  rmdirSync(network);
});

test('clean() ends containers whose config.json is damaged or gone', async (t) => {
  const daemon = await startDaemon(t);
  const ids = [await run(daemon, 'base', 'sleep', '1000'), await run(daemon, '-t', 'base', 'sh')];
  await daemon.end('SIGKILL');
  const [damaged, gone] = ids.map((id) => join(daemon.directory, 'containers', id, 'config.json'));
  assert.ok(damaged !== undefined && gone !== undefined);
  const before = readFileSync(damaged);
  writeFileSync(damaged, '{');
  rmSync(gone);
  const said = clean(daemon.directory);
  assert.deepEqual(leftOf(daemon, ids), []);
  for (const id of ids)
    assert.ok(
      said.some((line) => line === `ended container ${id}`),
      said.join('\n'),
    );
  const [aside = ''] = findAside(damaged);
  assert.equal(readFileSync(aside, 'utf8'), '{', 'what may be mended stays');
  writeFileSync(damaged, before);
});

test('clean() ends a program that has outlived its lxc-start, also a frozen one', async (t) => {
  const daemon = await startDaemon(t);
  // Who changes its user is not told any more that its parent has ended.
  const changed = [
    'chmod 755 /',
    'echo user:x:1000:1000::/:/bin/sh > /etc/passwd',
    'printf "#!/bin/sh\\nwhile :; do echo on; usleep 1000; done" > /bin/loop',
    'chmod 755 /bin/loop',
    'exec busybox start-stop-daemon -S -c user -x /bin/loop',
  ].join('; ');
  const ids = [await run(daemon, 'base', 'sh', '-c', changed), await run(daemon, 'base', 'sleep', '1000')];
  const programs = ids.map((id) => containerInit(lxcStart(daemon, id)) ?? 0);
  await until(async () => /on/.test(await daemon.call('logs', ids[0] ?? '')), 'it has changed its user');
  await freeze(daemon, ids[1] ?? '');
  await daemon.end('SIGKILL');
  for (const id of ids) process.kill(lxcStart(daemon, id), 'SIGKILL');
  await until(() => findLxcStarts(join(daemon.directory, 'containers')).size === 0, 'lxc-start ends');
  for (const pid of programs) assert.ok(existsSync(`/proc/${pid}`), 'it lives on');
  const said = clean(daemon.directory);
  assert.deepEqual(leftOf(daemon, ids), []);
  for (const pid of programs) await until(() => !existsSync(`/proc/${pid}`), `it is gone: ${said.join('\n')}`);
  for (const id of ids) assert.deepEqual(stateOf(daemon, id), { isRunning: false, exitCode: -1 });
  assert.deepEqual(clean(daemon.directory), [`Nothing to take away of ${daemon.directory}`]);
});

test('clean() takes what a person has mounted in a container from it, and removes nothing of that', async (t) => {
  const daemon = await startDaemon(t);
  const mine = temporaryFolder(t);
  writeFileSync(join(mine, 'file'), 'mine');
  const id = await run(daemon, 'base', 'sleep', '1000');
  const target = join(daemon.directory, 'containers', id, 'rootfs', 'data');
  execFileSync('mount', ['--bind', mine, target]);
  symlinkSync(mine, join(daemon.directory, 'containers', id, 'link'));
  symlinkSync(mine, join(daemon.directory, 'containers', 'link'));
  await daemon.end('SIGKILL');
  const said = clean(daemon.directory, '--data');
  assert.ok(said.includes(`unmounted ${target}`), said.join('\n'));
  assert.deepEqual(readdirSync(mine), ['file']);
  assert.ok(!existsSync(daemon.directory));
});

test('clean() of a data directory that is a link takes the link and what it leads to', async (t) => {
  const folder = await realpath(temporaryFolder(t));
  const [link, real] = [join(folder, 'link'), join(folder, 'real')];
  mkdirSync(real);
  symlinkSync(real, link);
  const daemon = await startDaemon(t, { directory: link });
  t.after(() => rmSync(folder, { recursive: true, force: true })); // closing the daemon makes it anew
  const ids = [await run(daemon, 'base', 'sleep', '1000'), await run(daemon, '-t', 'base', 'sh')];
  await daemon.end('SIGKILL');
  const said = clean(link, '--data');
  assert.deepEqual([...leftOf(daemon, ids), ...mountsBelow(real), ...processesOf(real)], []);
  for (const id of ids) assert.ok(said.includes(`ended container ${id}`), said.join('\n'));
  assert.deepEqual(readdirSync(folder), []);
});

test("clean() with the data refuses a directory that is not tsdock's, or not only", (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'images'));
  const refused = (why: RegExp): void => {
    const content = readdirSync(folder, { recursive: true });
    assert.match(refusal(folder, '--data'), why);
    assert.deepEqual(readdirSync(folder, { recursive: true }), content);
  };
  refused(/^tsdock: Cannot remove the data directory "\S+": no daemon has ever used it\n$/);
  writeFileSync(join(folder, 'tsdock.lock'), '');
  writeFileSync(join(folder, 'letter'), '');
  refused(
    /^tsdock: Cannot remove the data directory "\S+": it holds "letter", which is not tsdock's: move that away first\n$/,
  );
  rmSync(join(folder, 'letter'));
  execFileSync('mount', ['--bind', folder, join(folder, 'images')]);
  refused(
    /^tsdock: Cannot remove the data directory "\S+": "\S+\/images" is a mount that is not tsdock's: unmount that first\n$/,
  );
  execFileSync('umount', [join(folder, 'images')]);
  assert.deepEqual(clean(folder, '--data'), [`removed ${folder}`]);
});

test('clean() leaves a directory alone that no daemon has used', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'letter'), '');
  assert.deepEqual(clean(folder), [`Nothing to take away of ${folder}`]);
  assert.deepEqual(readdirSync(folder), ['letter']);
  assert.match(refusal(join(folder, 'letter')), /^tsdock: Cannot read "\S+\/letter": /);
});

test('clean() with the data empties a directory that is a mount point', (t) => {
  const folder = temporaryFolder(t);
  const directory = join(folder, 'disk');
  mkdirSync(directory);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', directory]);
  mkdirSync(join(directory, 'lost+found'));
  mkdirSync(join(directory, 'containers'));
  assert.deepEqual(clean(directory, '--data'), [`removed everything in ${directory}, which is a mount point`]);
  assert.deepEqual(readdirSync(directory), ['lost+found']);
  assert.deepEqual(clean(directory, '--data'), [`Nothing to take away of ${directory}`]);
});

test('clean() is for root alone', (t) => {
  const { status, stderr } = runClean(temporaryFolder(t), [], 65_534);
  assert.equal(status, 1);
  assert.match(stderr, /^tsdock: Cannot clean up: only root /);
});
