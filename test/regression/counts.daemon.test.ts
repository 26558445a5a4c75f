// What each command costs in calls to the kernel that are dear: processes and threads, syncs, renames, mounts, opened files.
// bounds.ts has what they may be.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { archive, entry } from '../archive/tar-builder.js';
import { TestDaemon, until, type TestNetwork } from '../harness.js';
import { TestMachine } from '../network/test-machine.js';
import { COUNTS } from './bounds.js';
import { countCalls, countsIn, quiet, straceBefore, type Counts } from './system-calls.js';

const BUNDLE = fileURLToPath(new URL('../../../examples/bundle.js', import.meta.url));
/** How many there are of stopped containers, for what looks at all of them. */
const CONTAINERS = 100;
const TIMES = 5;
/** Where a program does not end by itself, it does at once when asked. */
const WAITER = ['sh', '-c', 'trap "exit 0" TERM; echo up; while :; do sleep 60 & wait; done'];

const COLUMNS = [
  'processes',
  'threads',
  'syncs',
  'mainSyncs',
  'renames',
  'mounts',
  'opens',
  'looks',
  'otherOpens',
  'modules',
] as const;

/** Fails where a count is above its bound; prints what was seen as a row of bounds.ts. */
function check(t: TestContext, name: string, total: Counts, times: number): void {
  const row = COUNTS[name];
  assert.ok(row !== undefined, `bounds.ts has a row "${name}"`);
  const seen = COLUMNS.map((column) => ({ column, count: total[column] / times, bound: row[column] ?? Infinity }));
  t.diagnostic(`seen '${name}': { ${seen.map(({ column, count }) => `${column}: ${count}`).join(', ')} }`);
  if (seen.some(({ count, bound }) => count < bound && bound < Infinity)) t.diagnostic('less than in bounds.ts');
  const above = seen.filter(({ count, bound }) => count > bound);
  assert.deepEqual(above, [], `${name} costs more than it did. Look there: ${row.why}`);
}

async function repeat(times: number, action: (time: number) => Promise<unknown>): Promise<void> {
  for (let time = 0; time < times; time++) await action(time);
}

describe('a daemon on no bridge', () => {
  // One daemon for all; its start is traced where a test begins it a second time.
  const network = { enter: [] as string[], address: '127.0.0.1', environment: process.env };
  const host: TestNetwork = { ...network, guard: () => undefined, clean: async () => undefined };
  let daemon: TestDaemon;
  let folder = '';
  let stopped: string[] = [];

  const counts = (action: () => Promise<void>): Promise<Counts> =>
    countCalls(daemon.pid, daemon.directory, join(folder, 'trace'), action);
  const started = async (id: string): Promise<void> => {
    const log = join(daemon.directory, 'containers', id, `${id}-stdout.log`);
    const size = statSync(log, { throwIfNoEntry: false })?.size ?? 0;
    assert.equal(await daemon.call('start', id), `${id}\n`);
    await until(() => statSync(log).size > size, `${id} is up`);
  };

  before(async () => {
    folder = await realpath(mkdtempSync(join(tmpdir(), 'tsdock-test-counts-')));
    daemon = await TestDaemon.start({ network: host, args: ['--bridge', 'none', '--driver', 'overlay'] });
    const changed = Array.from({ length: CONTAINERS }, (_, i) =>
      daemon.call('run', 'base', 'sh', '-c', `echo ${i} > /data/number`),
    );
    stopped = (await Promise.all(changed)).map((id) => id.trim());
    for (const id of stopped) await daemon.stopped(id);
  });
  after(async () => {
    await daemon.close();
    rmSync(folder, { recursive: true });
  });

  test('run -a base /bin/true', async (t) => {
    const total = await counts(() => repeat(TIMES, () => daemon.call('run', '-a', 'base', '/bin/true')));
    check(t, t.name, total, TIMES);
  });

  for (const words of [['ps', '-a'], ['images'], ['info']]) {
    test(words.join(' '), async (t) => {
      await daemon.call(...words);
      const total = await counts(() => repeat(TIMES, () => daemon.call(...words)));
      check(t, t.name, total, TIMES);
    });
  }

  test('diff', async (t) => {
    const total = await counts(() => repeat(TIMES, (time) => daemon.call('diff', stopped[time] ?? '')));
    check(t, t.name, total, TIMES);
  });

  test('put', async (t) => {
    const put = (time: number): Promise<string> =>
      daemon.callWith(archive(entry({ name: 'file', content: String(time) })), 'put', `small${time}`);
    await put(TIMES);
    const total = await counts(() => repeat(TIMES, put));
    check(t, t.name, total, TIMES);
  });

  test('commit', async (t) => {
    const commit = (time: number): Promise<string> => daemon.call('commit', stopped[time] ?? '', `made${time}`);
    await commit(TIMES);
    const total = await counts(() => repeat(TIMES, commit));
    check(t, t.name, total, TIMES);
  });

  test('start, stop', async (t) => {
    const ids: string[] = [];
    await repeat(TIMES + 1, async () => ids.push((await daemon.call('run', 'base', ...WAITER)).trim()));
    for (const id of ids) {
      await until(async () => (await daemon.call('logs', id)) === 'up\n', `${id} is up`);
      assert.equal(await daemon.call('stop', id), `${id}\n`);
    }
    const begun = await counts(() => repeat(TIMES, (time) => started(ids[time] ?? '')));
    const ended = await counts(() => repeat(TIMES, (time) => daemon.call('stop', ids[time] ?? '')));
    check(t, 'start', begun, TIMES);
    check(t, 'stop', ended, TIMES);
  });

  test('rm', async (t) => {
    const gone = stopped.splice(-TIMES);
    const total = await counts(() => repeat(TIMES, (time) => daemon.call('rm', gone[time] ?? '')));
    check(t, t.name, total, TIMES);
  });

  test('the daemon with 100 containers', async (t) => {
    const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
    assert.equal(await daemon.call('rm', ...ids.slice(CONTAINERS)), '');
    assert.equal(await daemon.end(), 0);
    const file = join(folder, 'start');
    network.enter.push(...straceBefore(file));
    await daemon.begin();
    network.enter.length = 0;
    await quiet(daemon.pid);
    const total = countsIn(readFileSync(file, 'utf8'), [String(daemon.pid)], daemon.directory);
    check(t, t.name, total, 1);
  });

  test('the client, at version', async (t) => {
    // As `npm run build` makes it, also where tsc alone was run.
    const program = join(folder, 'tsdock.cjs');
    await promisify(execFile)(process.execPath, [BUNDLE, program]);
    const file = join(folder, 'client');
    const [command, ...words] = [...straceBefore(file), process.execPath, program, 'version'];
    const env = { ...process.env, DOCKER: `127.0.0.1:${daemon.tcp.port}` };
    await promisify(execFile)(command, words, { env });
    const thread = parseInt(readFileSync(file, 'utf8'), 10).toString(); // the first word of the trace
    const total = countsIn(readFileSync(file, 'utf8'), [thread], daemon.directory);
    check(t, t.name, total, 1);
  });
});

test('run -a base /bin/true on a bridge', async (t) => {
  const machine = await TestMachine.start();
  const daemon = await machine.daemon({ args: ['--driver', 'overlay'] });
  t.after(async () => {
    await daemon.close();
    await machine.close();
  });
  const file = `${daemon.directory}.trace`;
  const run = (): Promise<string> => daemon.call('run', '-a', 'base', '/bin/true');
  await run();
  const total = await countCalls(daemon.pid, daemon.directory, file, () => repeat(TIMES, run));
  check(t, t.name, total, TIMES);
});
