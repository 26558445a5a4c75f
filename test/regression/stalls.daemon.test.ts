// The daemon has one thread for all callers. While it does something large for one of them, it must not keep the others
// waiting: nothing computes, or is blocked, for more than 50 ms at once (inside-daemon.ts says how that is told from a machine
// that is busy). What is due to the program stalls each time; so it is tried again, and only what always stalls is an error.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import { archive, entry } from '../archive/tar-builder.js';
import { CANNOT_PRELOAD } from '../harness.js';
import { STALLS } from './bounds.js';
import type { Stall } from './inside-daemon.js';
import { meteredDaemon, type MeteredDaemon } from './meters.js';

const ATTEMPTS = 8;
const FILES = 20_000;
const FILES_PER_FOLDER = 200;

describe('the thread of the daemon', { skip: CANNOT_PRELOAD }, () => {
  let metered: MeteredDaemon;
  before(async () => void (metered = await meteredDaemon()));
  after(() => metered.close());

  /** Fails where there are too many stalls in each attempt. What `prepare` gives is for the action. */
  async function check<T>(
    t: TestContext,
    prepare: () => Promise<T>,
    action: (prepared: T) => Promise<void>,
  ): Promise<void> {
    const seen: Stall[][] = [];
    while (seen.length < ATTEMPTS && (seen.at(-1)?.length ?? Infinity) > STALLS) {
      const prepared = await prepare();
      seen.push(await metered.stalls(() => action(prepared)));
    }
    const texts = seen.map((stalls) =>
      stalls.map(({ ranMs, blockedMs }) => `${ranMs.toFixed()} ms computing + ${blockedMs} ms blocked`).join(', '),
    );
    t.diagnostic(`seen ${t.name}: ${texts.map((text) => `[${text}]`).join(' ')}`);
    assert.ok(
      (seen.at(-1)?.length ?? 0) <= STALLS,
      `${t.name}: the daemon answers nobody for ${texts.join('; then ')}`,
    );
  }

  /** A stopped container with many new files. */
  async function containerWith(count: number, bytes: number): Promise<string> {
    const { daemon } = metered;
    const id = (await daemon.call('run', 'base', '/bin/true')).trim();
    await daemon.stopped(id);
    for (let file = 0; file < count; file++) {
      const folder = join(daemon.directory, 'containers', id, 'rw/new', String(Math.floor(file / FILES_PER_FOLDER)));
      if (file % FILES_PER_FOLDER === 0) mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, String(file)), randomBytes(bytes));
    }
    return id;
  }

  test('put of 20 MB', async (t) => {
    const files = (): Buffer[] =>
      Array.from({ length: 1000 }, (_, i) => entry({ name: `file${i}`, content: randomBytes(20_000) }));
    await check(t, async () => archive(...files()), async (tar) => {
      assert.match(await metered.daemon.callWith(tar, 'put', 'large'), /^large:/);
    }); // prettier-ignore
  });

  test('commit of 20 MB', async (t) => {
    await check(t, () => containerWith(1000, 20_000), async (id) => {
      assert.match(await metered.daemon.call('commit', id, 'made'), /^made:/);
    }); // prettier-ignore
  });

  test('diff of 20,000 new files, and rm', async (t) => {
    await check(t, () => containerWith(FILES, 0), async (id) => {
      assert.ok((await metered.daemon.call('diff', id)).split('\n').length > FILES);
      assert.equal(await metered.daemon.call('rm', id), '');
    }); // prettier-ignore
  });

  test('1,000 times ps', async (t) => {
    await check(t, async () => undefined, async () => {
      for (let time = 0; time < 1000; time++) assert.match(await metered.daemon.call('ps'), /^ID /);
    }); // prettier-ignore
  });
});
