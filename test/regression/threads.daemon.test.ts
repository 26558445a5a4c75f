// What packs and unpacks trees has threads of its own, and a thread that ends leaves mappings and memory behind for good
// (src/util/thread-jobs.ts). So the daemon has as many threads after much of that work as after a little.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { archive, entry } from '../archive/tar-builder.js';
import { TestDaemon, until } from '../harness.js';
import { openDescriptors } from '../open-descriptors.js';
import { openFilesOf } from '../soak/while-probed.js';

const TIMES = 60;
/** A thread that ends leaves three behind; the heap of a daemon that works takes and gives back some dozens. */
const MAPPINGS = 1.5 * TIMES;
const SMALL = archive(entry({ name: 'file', content: 'small' }));

let daemon: TestDaemon;
let id = '';

before(async () => {
  daemon = await TestDaemon.start();
  id = (await daemon.call('run', 'base', 'touch', '/data/new')).trim();
  await daemon.stopped(id);
});
after(() => daemon.close());

const mappings = (): number => readFileSync(`/proc/${daemon.pid}/maps`, 'latin1').split('\n').length;
const threads = (): number => readdirSync(`/proc/${daemon.pid}/task`).length;

async function put(): Promise<void> {
  assert.match(await daemon.callWith(SMALL, 'put', 'small'), /^small:/);
}

/** A caller that goes away in the middle of its archive. */
async function breakOff(): Promise<void> {
  const socket = await daemon.connect();
  socket.on('error', () => undefined);
  socket.write(Buffer.concat([Buffer.from('["put","broken"]\n'), SMALL.subarray(0, 700)]));
  await until(isUnpacking, 'it unpacks');
  socket.resetAndDestroy();
  await until(() => !isUnpacking(), 'it has given up');
}

/** Whether the daemon has something open in the folders of layers. */
function isUnpacking(): boolean {
  return openFilesOf(daemon.pid).some((path) => path.startsWith(join(daemon.directory, 'images') + '/'));
}

const WORK: Readonly<Record<string, () => Promise<unknown>>> = {
  put,
  'put of what is no archive': async () => assert.match(await daemon.callWith('xxxx', 'put', 'bad'), /^Error: /),
  'put, broken off': breakOff,
  tar: () => daemon.call('tar', id),
  commit: async () => assert.match(await daemon.call('commit', id, 'made'), /^made:/),
};

for (const [name, work] of Object.entries(WORK)) {
  test(`${name}, ${TIMES} times: as many threads as before, and no mappings more`, async (t) => {
    for (let time = 0; time < TIMES / 3; time++) await work();
    const first = { mappings: mappings(), threads: threads(), descriptors: openDescriptors(daemon.pid) };
    for (let time = 0; time < TIMES; time++) await work();
    await until(() => threads() <= first.threads, 'no thread has been added');
    await until(() => openDescriptors(daemon.pid) <= first.descriptors, 'no descriptor has been added');
    t.diagnostic(`${first.mappings} mappings, then ${mappings()}; ${threads()} threads`);
    assert.ok(mappings() - first.mappings < MAPPINGS, `${first.mappings} mappings, then ${mappings()}`);
  });
}
