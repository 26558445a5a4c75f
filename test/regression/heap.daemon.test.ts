// What commands allocate, and what stays of it: bytes on the heap of V8, which are the same on every machine, and nearly so in
// every run. bounds.ts has what they may be.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { copyContainers } from '../bench/copies.js';
import { CANNOT_PRELOAD } from '../harness.js';
import { HEAP, HEAP_SLACK, STOPPED_CONTAINER } from './bounds.js';
import { meteredDaemon, type MeteredDaemon } from './meters.js';

/** Until node has compiled what it compiles after some uses only. */
const WARM_UP = 20;
/** How often what stays is looked at before it counts: of a leak as much stays each time, of what node keeps for itself not. */
const LOOKS = 3;

describe('the heap of the daemon', { skip: CANNOT_PRELOAD }, () => {
  let metered: MeteredDaemon;
  before(async () => void (metered = await meteredDaemon()));
  after(() => metered.close());

  for (const [name, { times, allocatedBytes, mayStayBytes, why }] of Object.entries(HEAP)) {
    test(name, async (t) => {
      const repeat = async (count: number): Promise<void> => {
        for (let time = 0; time < count; time++) await metered.daemon.call(...name.split(' '));
      };
      await repeat(WARM_UP);
      let [allocated, staying] = [NaN, Infinity];
      for (let look = 0; look < LOOKS && staying > mayStayBytes; look++) {
        const use = await metered.heapUse(() => repeat(times));
        [allocated, staying] = [Math.round(use.allocatedBytes / times), Math.round(use.retainedBytes / times)];
      }
      t.diagnostic(`seen '${name}': { allocatedBytes: ${allocated} }, ${staying} bytes stay`);
      assert.ok(allocated <= allocatedBytes * HEAP_SLACK, `${name} allocates ${allocated} bytes. Look there: ${why}`);
      assert.ok(staying <= mayStayBytes, `${name} keeps ${staying} bytes. Look there: ${why}`);
    });
  }

  test('a stopped container that a daemon finds at its start', async (t) => {
    const { daemon } = metered;
    const id = (await daemon.call('run', 'base', '/bin/true')).trim();
    await daemon.stopped(id);
    const usedWith = async (count: number): Promise<number> => {
      assert.equal(await daemon.end(), 0);
      copyContainers(daemon.directory, id, count);
      await daemon.begin();
      await daemon.call('ps', '-a');
      return metered.heapUsed();
    };
    const { few, many, mayStayBytes, why } = STOPPED_CONTAINER;
    const before = await usedWith(few);
    const each = Math.round(((await usedWith(many)) - before) / (many - few));
    t.diagnostic(`seen: ${each} bytes stay`);
    assert.ok(each <= mayStayBytes, `a stopped container keeps ${each} bytes. Look there: ${why}`);
  });
});
