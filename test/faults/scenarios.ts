// The commands that a sweep makes fail, each with what is there before and what takes it back afterwards.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { archive, entry } from '../archive/tar-builder.js';
import { until, type TestDaemon } from '../harness.js';

/** One command. */
export interface Scenario {
  name: string;
  /** puts everything into the state before */
  prepare?(): Promise<void>;
  /** the command; resolves with its reply */
  act(): Promise<string>;
  /** what the command replies when all goes well */
  reply: RegExp;
  /** where the command is more than one step: each brings what is there from the state before to one that it may stop at */
  halfWay?: (() => Promise<unknown>)[];
  /** lines of the snapshot that need be neither as before nor as after */
  isLoose?: RegExp;
  /** takes back what it did, where the next `prepare` does not */
  undo?(): Promise<void>;
}

const ID = /^[0-9a-f]{8}\n$/;
const IMAGE_ID = /^\S+:[0-9a-f]{16}\n$/;
/** Ends with 3 when it is asked to end. */
const ASKABLE = ['sh', '-c', 'trap "exit 3" TERM; echo up; while :; do usleep 20000; done'];

/** An image with something of everything that unpacking makes, and a deletion, for which overlay makes folders. */
const SMALL_IMAGE = archive(
  entry({ name: './', type: '5', mode: 0o755 }),
  entry({ name: 'data/', type: '5', mode: 0o755 }),
  entry({ name: 'data/file', content: 'content' }),
  entry({ name: 'data/hard', type: '1', linkName: 'data/file' }),
  entry({ name: 'data/soft', type: '2', linkName: 'file' }),
  entry({ name: 'data/fifo', type: '6' }),
  entry({ name: 'data/.wh.gone' }),
);

/** Makes the containers that the scenarios are about. `close` ends what they need outside of the daemon. */
export async function makeScenarios(daemon: TestDaemon): Promise<{ scenarios: Scenario[]; close: () => void }> {
  const call = (...words: string[]): Promise<string> => daemon.call(...words);
  const none = async (...words: string[]): Promise<void> => assert.equal(await call(...words), '');
  const run = async (...words: string[]): Promise<string> => (await call('run', '-d', 'base', ...words)).trim();
  const isUp = (id: string): Promise<void> =>
    until(async () => (await call('logs', id)).endsWith('up\n'), `${id} is up`);
  const ofImage = async (name: string): Promise<void> => {
    if ((await call('images', '-q', name)) !== '') await none('rmi', name);
  };

  const server = createServer((_, response) => response.end(SMALL_IMAGE)).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/image`;

  const changed = await run(
    'sh',
    '-c',
    'echo changed > /data/one; rm /data/plain; mkdir /data/new; echo 1 > /data/new/1',
  );
  const plain = await run('true');
  const askable = await run(...ASKABLE);
  for (const id of [changed, plain]) await call('wait', id);
  await isUp(askable);
  await call('stop', askable);

  const known = new Set([changed, plain, askable]);
  const removeNew = async (): Promise<void> => {
    const ids = (await call('ps', '-a', '-q')).split('\n').filter((id) => id !== '' && !known.has(id));
    if (ids.length > 0) await none('rm', '-f', ...ids);
  };
  const isRunning = async (id: string): Promise<boolean> => /"Running":\s*true/.test(await call('inspect', id));
  const up = async (id: string): Promise<void> => {
    if (await isRunning(id)) return;
    const before = await call('logs', id);
    await call('start', id);
    await until(async () => (await call('logs', id)).length > before.length, `${id} is up`);
  };
  const down = async (id: string): Promise<void> => {
    if (await isRunning(id)) await call('stop', id);
  };
  const isMounted = async (id: string): Promise<boolean> => {
    const reply = await call('mount', id);
    return reply === `${id}\n` || reply.includes('already mounted');
  };
  const umount = async (id: string): Promise<void> => {
    if (await isMounted(id)) await call('umount', id);
  };
  let doomed = '';

  const scenarios: Scenario[] = [
    { name: 'run -d', act: () => call('run', '-d', 'base', 'sleep', '100000'), reply: ID, undo: removeNew },
    { name: 'run -a', act: () => call('run', '-a', 'base', 'echo', 'hello'), reply: /^hello\n$/, undo: removeNew },
    {
      name: 'run -a -t',
      act: () => call('run', '-a', '-t', 'base', 'echo', 'hello'),
      reply: /^hello\r\n$/,
      undo: removeNew,
    },
    {
      name: 'run of no program',
      act: () => call('run', '-a', 'base', '/no'),
      reply: /Unable to locate/,
      undo: removeNew,
    },
    {
      name: 'start',
      // A program that has begun, and cannot be put on record, is killed: as it was before.
      prepare: async () => {
        await up(askable);
        await none('kill', askable);
      },
      act: () => call('start', askable),
      reply: ID,
    },
    { name: 'stop', prepare: () => up(askable), act: () => call('stop', askable), reply: ID, undo: () => up(askable) },
    {
      name: 'kill',
      prepare: () => up(askable),
      act: () => call('kill', askable),
      reply: /^$/,
      undo: () => up(askable),
    },
    {
      name: 'restart',
      prepare: () => up(askable),
      act: () => call('restart', askable),
      reply: ID,
      // It is a stop and a start; a program that has begun, and cannot be put on record, is killed.
      halfWay: [() => call('stop', askable), () => call('kill', askable)],
      undo: () => up(askable),
    },
    {
      name: 'rm',
      prepare: async () => {
        await down(askable);
        await removeNew();
        doomed = await run('sh', '-c', 'mkdir /data/deep; echo 1 > /data/deep/1');
        await call('wait', doomed);
      },
      act: () => call('rm', doomed),
      reply: /^$/,
      undo: removeNew,
    },
    {
      name: 'rm -f of a running one',
      prepare: async () => {
        await removeNew();
        doomed = await run('sleep', '100000');
      },
      act: () => call('rm', '-f', doomed),
      reply: /^$/,
      halfWay: [() => call('kill', doomed)], // it is killed first, and a killed one that cannot be removed stays
      undo: removeNew,
    },
    {
      name: 'commit',
      prepare: removeNew,
      act: () => call('commit', changed, 'made'),
      reply: IMAGE_ID,
      undo: () => ofImage('made'),
    },
    {
      name: 'put',
      act: () => daemon.callWith(SMALL_IMAGE, 'put', 'made'),
      reply: IMAGE_ID,
      undo: () => ofImage('made'),
    },
    { name: 'pull', act: () => call('pull', url), reply: /^http:\S+\n$/, undo: () => ofImage(url) },
    { name: 'cp', act: () => call('cp', 'base', 'made'), reply: IMAGE_ID, undo: () => ofImage('made') },
    {
      name: 'rmi',
      prepare: async () => assert.match(await daemon.callWith(SMALL_IMAGE, 'put', 'made'), IMAGE_ID),
      act: () => call('rmi', 'made'),
      reply: /^$/,
    },
    {
      name: 'write',
      prepare: () => ofImage('made'),
      act: () => daemon.callWith('written\n', 'write', plain, '/data/written'),
      reply: /^$/,
      // What it mounts stays mounted, and a file that could not be written to its end is as long as it got.
      isLoose: /^mount |rw \/data( |\/written )/,
      undo: async () => none('reset', plain),
    },
    {
      name: 'reset',
      prepare: async () => {
        await daemon.callWith('written\n', 'write', plain, '/data/written');
        await umount(plain);
      },
      act: () => call('reset', plain),
      reply: /^$/,
      isLoose: /^container #1 rw \/ /, // the empty folder is made at the next use where it could not be made here
    },
    {
      name: 'mount',
      prepare: () => umount(plain),
      act: () => call('mount', plain),
      reply: ID,
      undo: () => umount(plain),
    },
    {
      name: 'umount',
      prepare: async () => assert.ok(await isMounted(plain)),
      act: () => call('umount', plain),
      reply: ID,
    },
    { name: 'diff', prepare: () => umount(plain), act: () => call('diff', changed), reply: /^C \/data\n/ },
    {
      name: 'cat',
      act: () => call('cat', changed, '/data/one'),
      reply: /^changed\n$/,
      undo: () => umount(changed),
    },
    { name: 'ls', act: () => call('ls', changed, '/data'), reply: /^new\none\n$/, undo: () => umount(changed) },
    {
      name: 'tar',
      prepare: () => umount(changed),
      act: () => call('tar', changed),
      reply: /data\/new/,
      undo: () => umount(changed),
    },
    { name: 'logs', act: () => call('logs', askable), reply: /^up\n/ },
    { name: 'inspect', act: () => call('inspect', askable), reply: /^\{/ },
    { name: 'images', act: () => call('images'), reply: /^NAME/ },
    { name: 'ps', act: () => call('ps', '-a'), reply: /^ID/ },
  ];
  server.unref(); // a test that fails may not come as far as `close`
  return { scenarios, close: () => void server.close() };
}
