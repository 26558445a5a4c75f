// What outlives the daemon, and how the next one finds it: each sentence of what is promised, on real containers. What is
// left of a container's network is in network/survival.daemon.test.ts.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { mkfifo } from '../../src/linux/pipe.js';
import { processStartTicks, startedAtMs } from '../../src/linux/process.js';
import { encodeFrame } from '../../src/rcli/frames.js';
import { ZERO_TIME } from '../../src/util/go-time.js';
import { mountsBelow, processesOf, TestDaemon, until, whatStays } from '../harness.js';

const MANY_LINES = 3_000_000;
/** The daemon is killed in each of so many parts of them. */
const PARTS = 6;
/** A clock that is read twice, and rounded down. */
const SECOND_MS = 1_000;
const TRAP = 'trap "echo term; sleep 0.5; echo bye; exit 7" TERM; echo up; while :; do usleep 20000; done';

interface Inspected {
  Created: string;
  State: { Running: boolean; Pid: number; ExitCode: number; Signal: number; StartedAt: string; FinishedAt: string };
}

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

async function run(...words: string[]): Promise<string> {
  const id = (await daemon.call('run', ...words)).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  return id;
}
const inspect = async (id: string): Promise<Inspected> => JSON.parse(await daemon.call('inspect', id)) as Inspected; // what it prints
const hasLogged = (id: string, text: string) => async () => (await daemon.call('logs', id)) === text;
const folderOf = (id: string): string => join(daemon.directory, 'containers', id);

/** The daemon is killed, and another one started. What is done in between sees no daemon. */
async function killAndStart(meanwhile: () => Promise<void> | void = () => undefined): Promise<void> {
  await daemon.end('SIGKILL');
  await meanwhile();
  await daemon.begin();
}

const lxcStartOf = (id: string): string | undefined =>
  processesOf(daemon.directory).find((line) => line.includes('lxc-start') && line.includes(` -n ${id} `));

/** Resolves once the container has ended, also where no daemon runs. */
const hasEnded = (id: string): Promise<void> => until(() => lxcStartOf(id) === undefined, `${id} has ended`);

/** The processes of a container, as its lxc-start has them: outside, from the monitor down. */
function treeOf(pid: number): string {
  const children = textOf(`/proc/${pid}/task/${pid}/children`).trim();
  return [pid, ...children.split(' ').filter(Boolean).map((child) => treeOf(Number(child)))].join(' '); // prettier-ignore
}

/** Resolves once the last of the processes below an lxc-start is this program: before, it is LXC, at its own work. */
async function hasBegun(pid: number, ...command: string[]): Promise<void> {
  const commandLine = command.map((word) => `${word}\0`).join('');
  const last = (): string => treeOf(pid).split(' ').at(-1) ?? '';
  await until(() => textOf(`/proc/${last()}/cmdline`) === commandLine, `${command.join(' ')} is there`);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process has ended
  }
}

/** Kills the first process of a container as somebody from outside would. */
function killFromOutside(pid: number): void {
  process.kill(Number(treeOf(pid).split(' ')[1]), 'SIGKILL');
}

/** The seconds that `ps` says a container is up. */
async function upSeconds(id: string): Promise<number> {
  const [, seconds] = new RegExp(`^${id} .* Up (\\d+) seconds`, 'm').exec(await daemon.call('ps')) ?? [];
  assert.ok(seconds !== undefined, await daemon.call('ps'));
  return Number(seconds);
}

for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  test(`${signal} to the daemon: containers run on under their pids, and ps is right to the second`, async () => {
    const programs = [['sleep', '1000'], ['sleep', '1000'], ['cat'], ['cat']];
    const flags = [[], ['-t'], ['-i'], ['-i', '-t']];
    const ids: string[] = [];
    for (const [index, program] of programs.entries()) ids.push(await run(...(flags[index] ?? []), 'base', ...program));
    const before = await Promise.all(ids.map(inspect));
    for (const [index, { State }] of before.entries()) await hasBegun(State.Pid, ...(programs[index] ?? []));
    const trees = before.map(({ State }) => treeOf(State.Pid));
    assert.deepEqual(trees.map((tree) => tree.split(' ').length), [2, 3, 2, 3]); // prettier-ignore
    await until(async () => / Up [2-9] seconds/.test(await daemon.call('ps')), 'seconds have passed');
    await daemon.end(signal);
    await daemon.begin();
    const now = await Promise.all(ids.map(inspect));
    assert.deepEqual(now, before);
    assert.deepEqual(now.map(({ State }) => treeOf(State.Pid)), trees); // prettier-ignore
    for (const [index, id] of ids.entries()) {
      const trueMs = Date.now() - startedAtMs(processStartTicks(now[index]?.State.Pid ?? 0) ?? 0);
      const shownMs = (await upSeconds(id)) * SECOND_MS;
      assert.ok(Math.abs(trueMs - shownMs) <= 1.5 * SECOND_MS, `${shownMs} ms of ${trueMs} ms`);
    }
    assert.equal(await daemon.call('rm', '-f', ...ids), '');
  });
}

test('a program with the command line of a holder is not taken for one', async () => {
  const id = await run('base', 'sleep', 'infinity');
  const { State } = await inspect(id);
  await hasBegun(State.Pid, 'sleep', 'infinity');
  const tree = treeOf(State.Pid);
  await killAndStart();
  await killAndStart();
  assert.equal(treeOf((await inspect(id)).State.Pid), tree);
  assert.equal(await daemon.call('rm', '-f', id), '');
});

test('logs has every line of a program that prints as fast as it can, once, also those that no daemon was there for', async () => {
  const share = MANY_LINES / PARTS;
  const parts = Array.from({ length: PARTS }, (_, part) => `seq ${part * share + 1} ${(part + 1) * share}`);
  const gate = (part: number): string => `while [ ! -e /data/${part} ]; do usleep 1000; done`;
  const id = await run('base', 'sh', '-c', parts.map((part, i) => (i === 0 ? part : `${gate(i)}; ${part}`)).join('; '));
  const log = join(folderOf(id), `${id}-stdout.log`);
  const expected = createHash('sha256');
  let bytes = 0;
  for (let part = 0; part < PARTS; part++) {
    const lines = Array.from({ length: share }, (_, i) => `${part * share + i + 1}\n`).join('');
    expected.update(lines);
    const isFar = (): boolean => statSync(log).size > bytes + lines.length / 3;
    await until(isFar, 'it has printed more');
    bytes += lines.length;
    // In the middle of a part where this process is quick enough; the next one is begun while no daemon runs.
    await killAndStart(() => {
      if (part + 1 < PARTS) writeFileSync(join(folderOf(id), 'rootfs/data', String(part + 1)), '');
    });
  }
  assert.equal(await daemon.call('wait', id), '0\n');
  const shown = createHash('sha256').update(await daemon.call('logs', id));
  assert.equal(shown.digest('hex'), expected.digest('hex'));
  assert.equal(await daemon.call('rm', id), '');
});

test('attach to what an earlier daemon started has its output and gives it input, with a terminal too', async () => {
  const script = 'while read x; do echo "got $x"; done';
  for (const flags of [['-i'], ['-i', '-t']]) {
    const id = await run(...flags, 'base', 'sh', '-c', script);
    await killAndStart();
    const socket = await daemon.connect();
    let shown = '';
    socket.on('data', (chunk: Buffer) => (shown += chunk.toString()));
    socket.write(`${JSON.stringify(['attach', '-i', id])}\n`);
    socket.write('one\n');
    await until(() => /^got one\r?\n/m.test(shown), 'it answers');
    await killAndStart();
    const following = follow(await daemon.connect(), ['logs', '-f', id]);
    const again = await daemon.connect();
    again.write(`${JSON.stringify(['attach', '-i', id])}\ntwo\n`);
    await until(() => /^got two\r?\n/m.test(following.text), 'logs -f shows it');
    again.destroy();
    assert.equal(await daemon.call('rm', '-f', id), '');
  }
});

/** What comes of a call that goes on. */
function follow(socket: Socket, words: string[]): { text: string } {
  const seen = { text: '' };
  socket.on('data', (chunk: Buffer) => (seen.text += chunk.toString()));
  socket.write(`${JSON.stringify(words)}\n`);
  return seen;
}

test('a window that is resized through the next daemon is resized inside', async () => {
  const id = await run('-i', '-t', 'base', 'sh', '-c', 'while read x; do stty size; done');
  await killAndStart();
  const socket = await daemon.connect();
  const tty = { rows: 33, cols: 77 };
  const attached = { frames: 1, args: ['attach', '-i', id], tty };
  let shown = '';
  socket.on('data', (chunk: Buffer) => (shown += chunk.toString('latin1')));
  socket.write(`${JSON.stringify(attached)}\n`);
  const askUntil = (size: string): Promise<void> =>
    until(async () => {
      socket.write(encodeFrame(0, 'x\n'));
      await new Promise((resolve) => setTimeout(resolve, 20));
      return shown.includes(size);
    }, `it is ${size}`);
  await askUntil('33 77');
  socket.write(encodeFrame(4, JSON.stringify({ rows: 44, cols: 99 })));
  await askUntil('44 99');
  socket.destroy();
  assert.equal(await daemon.call('rm', '-f', id), '');
});

test('stop, kill, wait, restart, commit, diff and rm work on what an earlier daemon started', async () => {
  const [one, two, three] = [
    await run('base', 'sh', '-c', `echo x > /data/new; ${TRAP}`),
    await run('-t', 'base', 'sleep', '1000'),
    await run('base', 'sh', '-c', `echo y > /data/new; ${TRAP}`),
  ];
  for (const id of [one, three]) await until(hasLogged(id, 'up\n'), 'it is up');
  await killAndStart();
  assert.equal(await daemon.call('diff', one), 'C /data\nA /data/new\n');
  assert.match(await daemon.call('commit', one, 'survivor'), /^survivor:/);
  assert.equal(await daemon.call('run', '-a', 'survivor', 'cat', '/data/new'), 'x\n');
  const waiting = daemon.call('wait', one);
  assert.equal(await daemon.call('stop', one), `${one}\n`);
  assert.equal(await waiting, '7\n');
  assert.equal(await daemon.call('logs', one), 'up\nterm\nbye\n');
  assert.equal(await daemon.call('kill', two), '');
  assert.equal(await daemon.call('wait', two), '-1\n');
  assert.equal(await daemon.call('restart', three), `${three}\n`);
  await until(hasLogged(three, 'up\nterm\nbye\nup\n'), 'it is up again');
  assert.equal(await daemon.call('rm', three, one, two), '');
  assert.equal(await daemon.call('rmi', 'survivor'), '');
  assert.deepEqual(await whatStays(() => [...mountsBelow(daemon.directory), ...processesOf(daemon.directory)]), []);
});

test('what ended while no daemon ran has its true status, and when', async () => {
  const script = 'while [ ! -e /data/end ]; do usleep 10000; done; echo ended; exit 5';
  const quiet = await run('base', 'sh', '-c', script);
  const terminal = await run('-t', 'base', 'sh', '-c', script);
  const killed = await run('base', 'sleep', '1000');
  const killedTerminal = await run('-t', 'base', 'sleep', '1000');
  await until(async () => (await daemon.call('ps', '-q')).split('\n').length === 5, 'all run');
  const pids = await Promise.all([killed, killedTerminal].map(async (id) => (await inspect(id)).State.Pid));
  for (const pid of pids) await hasBegun(pid, 'sleep', '1000');
  const endedAtMs = new Map<string, number>();
  await killAndStart(async () => {
    for (const id of [quiet, terminal]) writeFileSync(join(folderOf(id), 'rootfs/data/end'), '');
    for (const pid of pids) killFromOutside(pid);
    const ended = [quiet, terminal, killed, killedTerminal].map(async (id) => {
      await hasEnded(id);
      endedAtMs.set(id, Date.now());
    });
    await Promise.all(ended);
    const lastMs = Math.max(...endedAtMs.values());
    await until(() => Date.now() > lastMs + 3 * SECOND_MS, 'the start comes later');
  });
  for (const [id, status, signal] of [
    [quiet, 5, 0],
    [terminal, 5, 0],
    [killed, -1, 9],
    [killedTerminal, -1, 9],
  ] as const) {
    // prettier-ignore
    assert.equal(await daemon.call('wait', id), `${status}\n`);
    const { State } = await inspect(id);
    assert.deepEqual([State.Running, State.ExitCode, State.Signal], [false, status, signal], id);
    const late = Date.parse(State.FinishedAt) - (endedAtMs.get(id) ?? 0);
    assert.ok(late < SECOND_MS && late > -1.5 * SECOND_MS, `${id}: ${late} ms after its end`);
    assert.deepEqual(mountsBelow(daemon.directory).filter((mount) => mount.includes(id)), []); // prettier-ignore
  }
  assert.equal(await daemon.call('logs', quiet), 'ended\n');
  assert.equal(await daemon.call('logs', terminal), 'ended\r\n');
  assert.equal(await daemon.call('rm', quiet, terminal, killed, killedTerminal), '');
});

test('a stop that was under way when the daemon was killed ends the container with the status of its trap', async () => {
  for (const flags of [[], ['-t']]) {
    const id = await run(...flags, 'base', 'sh', '-c', TRAP);
    await until(async () => (await daemon.call('logs', id)).startsWith('up'), 'it is up');
    const socket = await daemon.connect();
    socket.write(`${JSON.stringify(['stop', id])}\n`);
    await until(async () => (await daemon.call('logs', id)).includes('term'), 'it has been asked');
    await killAndStart();
    assert.equal(await daemon.call('wait', id), '7\n');
    assert.match(await daemon.call('logs', id), /^up\r?\nterm\r?\nbye\r?\n$/);
    assert.equal(await daemon.call('rm', id), '');
  }
});

test('what a daemon killed before it was killed itself is on record as killed, with a terminal too', async () => {
  const id = await run('-t', 'base', 'sleep', '1000');
  const { Pid } = (await inspect(id)).State;
  await hasBegun(Pid, 'sleep', '1000');
  await killAndStart(async () => {
    writeFileSync(join(folderOf(id), 'signal'), 'SIGTERM'); // as a daemon does before it sends it
    process.kill(Number(treeOf(Pid).split(' ')[2]), 'SIGTERM');
    await hasEnded(id);
  });
  assert.equal(await daemon.call('wait', id), '-1\n');
  assert.equal((await inspect(id)).State.Signal, 15);
  assert.ok(!existsSync(join(folderOf(id), 'signal')));
  assert.equal(await daemon.call('rm', id), '');
});

test('the end of the input that a program had been sent before the daemon was killed reaches it after', async () => {
  const script = 'while [ ! -e /data/go ]; do usleep 10000; done; cat; echo done';
  const socket = await daemon.connect();
  socket.end(`${JSON.stringify(['run', '-a', '-i', '-c', 'late', 'base', 'sh', '-c', script])}\nword\n`);
  await until(async () => /late/.test(await daemon.call('ps')), 'it runs');
  const [id = ''] = /^\w{8}(?=.*late)/m.exec(await daemon.call('ps')) ?? [];
  await until(() => holders(id).join() === '/dev/null', 'the end has been passed on');
  await killAndStart();
  assert.deepEqual(holders(id), ['/dev/null']);
  writeFileSync(join(folderOf(id), 'rootfs/data/go'), '');
  assert.equal(await daemon.call('wait', id), '0\n');
  assert.equal(await daemon.call('logs', id), 'word\ndone\n');
  assert.equal(await daemon.call('rm', id), '');
});

/** What the holders of a container have as their stdin. */
function holders(id: string): string[] {
  const lines = processesOf(daemon.directory).filter((line) => line.includes('sleep infinity'));
  return lines.flatMap((line) => {
    const folder = `/proc/${line.split(' ')[1] ?? ''}/fd`;
    try {
      return readlinkSync(`${folder}/1`).includes(id) ? [readlinkSync(`${folder}/0`)] : [];
    } catch {
      return []; // it has just ended
    }
  });
}

test('who is attached when the daemon is killed is told so in one line, with a status that is no program’s', async () => {
  const id = await run('base', 'sh', '-c', TRAP);
  await until(hasLogged(id, 'up\n'), 'it is up');
  const { child, result } = daemon.client(['logs', '-f', id]);
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  await daemon.end('SIGKILL');
  const { status, stdout, stderr } = await result;
  assert.deepEqual([status, stdout], [1, 'up\n']);
  assert.match(stderr, /^tsdock: Lost the daemon at 127\.0\.0\.1:\d+ before the call ended: [^\n]+\n$/);
  await daemon.begin();
  assert.equal(await daemon.call('rm', '-f', id), '');
});

/** Takes back what a daemon has saved last, as if it had been killed before. */
function unsave(id: string, state: Record<string, unknown>): void {
  const path = join(folderOf(id), 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as { State: Record<string, unknown> };
  config.State = { ...config.State, Running: false, Pid: 0, StartTicks: 0, StartedAt: ZERO_TIME, ...state };
  writeFileSync(path, JSON.stringify(config));
}

test('a run that began before its daemon was killed, and was not saved, is found with the time it began', async () => {
  const id = await run('base', 'sleep', '1000');
  const { Pid } = (await inspect(id)).State;
  const began = startedAtMs(processStartTicks(Pid) ?? 0);
  await killAndStart(() => unsave(id, {}));
  const { State } = await inspect(id);
  assert.deepEqual([State.Running, State.Pid], [true, Pid]);
  assert.ok(
    Math.abs(Date.parse(State.StartedAt) - began) < 100,
    `${State.StartedAt} is not ${new Date(began).toISOString()}`,
  );
  assert.equal(await daemon.call('kill', id), '');
  const { State: saved } = JSON.parse(readFileSync(join(folderOf(id), 'config.json'), 'utf8')) as Inspected; // as inspect
  assert.equal(saved.StartedAt, State.StartedAt);
  assert.equal(await daemon.call('rm', id), '');
});

test('one that has ended as well has its status and its last words', async () => {
  const script = 'echo up; while [ ! -e /data/end ]; do usleep 10000; done; echo last words; exit 5';
  const id = await run('base', 'sh', '-c', script);
  await until(hasLogged(id, 'up\n'), 'it is up');
  const ranFromMs = Date.now();
  await killAndStart(async () => {
    await until(() => Date.now() > ranFromMs + 300, 'it has run for a while');
    writeFileSync(join(folderOf(id), 'rootfs/data/end'), ''); // not sooner: the first daemon must not see its end
    await hasEnded(id);
    unsave(id, {});
  });
  assert.equal(await daemon.call('wait', id), '5\n');
  assert.equal(await daemon.call('logs', id), 'up\nlast words\n');
  const { StartedAt, FinishedAt } = (await inspect(id)).State;
  const tookMs = Date.parse(FinishedAt) - Date.parse(StartedAt);
  assert.ok(tookMs >= 250 && tookMs < 15_000, `from ${StartedAt} to ${FinishedAt}`);
  assert.equal(await daemon.call('rm', id), '');
});

test('a container whose program never began, as its daemon was killed, is gone; one of an original stays', async () => {
  const [ours, original] = [await run('base', 'true'), await run('base', 'true')];
  for (const id of [ours, original]) await daemon.stopped(id);
  await killAndStart(() => {
    for (const id of [ours, original]) {
      rmSync(join(folderOf(id), 'lxc.log'));
      unsave(id, id === original ? { StartTicks: undefined } : {});
    }
    mkfifo(join(folderOf(ours), 'stdout'), 0o600);
  });
  const left = (await daemon.call('ps', '-a', '-q')).split('\n');
  assert.deepEqual([left.includes(ours), left.includes(original)], [false, true]);
  assert.ok(!existsSync(folderOf(ours)));
  assert.equal(await daemon.call('rm', original), '');
});

test('a start takes away what is half-made, wherever a killed daemon left it', async () => {
  const id = await run('base', 'touch', '/data/mine');
  await daemon.stopped(id);
  const { directory } = daemon;
  const files = [
    'images/.tmp-01234567-index.json',
    '.tmp-01234567-network.json',
    `containers/${id}/.tmp-01234567-config.json`,
  ];
  const folders = [
    `containers/${id}/.tmp-mount-abcdef`,
    `containers/${id}/rw.next`,
    '.tmp-probe-abcdef',
    'images/overlay/0123456789abcdef',
  ];
  await killAndStart(() => {
    for (const name of files) writeFileSync(join(directory, name), 'half');
    for (const name of folders) mkdirSync(join(directory, name, 'some', 'thing'), { recursive: true });
    writeFileSync(join(folderOf(id), 'frozen'), '');
    writeFileSync(join(folderOf(id), 'signal'), 'SIGTERM');
  });
  const left = [...files, ...folders, `containers/${id}/frozen`, `containers/${id}/signal`];
  assert.deepEqual(left.filter((name) => existsSync(join(directory, name))), []); // prettier-ignore
  assert.equal(await daemon.call('diff', id), 'C /data\nA /data/mine\n');
  assert.equal(await daemon.call('rm', id), '');
});

test('a start takes away what is half-made in a container, where it is one thing alone', async () => {
  const leave: Record<string, (folder: string) => void> = {
    '.tmp-01234567-config.json': (folder) => writeFileSync(join(folder, '.tmp-01234567-config.json'), 'half'),
    'rw.next': (folder) => mkdirSync(join(folder, 'rw.next/thing'), { recursive: true }),
    frozen: (folder) => writeFileSync(join(folder, 'frozen'), ''),
    signal: (folder) => writeFileSync(join(folder, 'signal'), 'SIGTERM'),
    stderr: (folder) => mkfifo(join(folder, 'stderr'), 0o600),
    // Put in place, and not yet on record: rw.driver must not name it any more.
    'rw.driver.x': (folder) => writeFileSync(join(folder, 'rw.driver'), 'overlay\nrw.next\n'),
    // A plain copy that was not finished: no manifest says that it counts.
    'rootfs/half': (folder) => {
      writeFileSync(join(folder, 'rw.driver'), 'vfs\n');
      writeFileSync(join(folder, 'rootfs/half'), '');
    },
  };
  const names = Object.keys(leave);
  const ids = await Promise.all(names.map(() => run('base', '/bin/true')));
  const mounted = await run('base', '/bin/true');
  for (const id of [...ids, mounted]) await daemon.stopped(id);
  assert.equal(await daemon.call('mount', mounted), `${mounted}\n`);
  await killAndStart(() => names.forEach((name, at) => leave[name]?.(folderOf(ids[at] ?? ''))));
  assert.deepEqual(names.filter((name, at) => existsSync(join(folderOf(ids[at] ?? ''), name))), []); // prettier-ignore
  const replaced = folderOf(ids[names.indexOf('rw.driver.x')] ?? '');
  assert.equal(readFileSync(join(replaced, 'rw.driver'), 'utf8'), 'overlay\n');
  assert.deepEqual(mountsBelow(folderOf(mounted)), []);
  assert.equal(await daemon.call('rm', ...ids, mounted), '');
});
