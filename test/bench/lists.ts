// A daemon that has much: the lists of 1,000 containers and of 1,000 images, and what they cost in memory and at the start.

import assert from 'node:assert/strict';
import type { TestDaemon } from '../harness.js';
import { copyContainers, writeImages } from './copies.js';
import { duration, figuresInTurn, median } from './measure.js';
import { pssMB } from './pss.js';
import { startDaemon, type Bench } from './sides.js';

const COUNT = 1000;
const WARM_UP = 5;

/** See the head of the file. */
export async function benchLists(bench: Bench): Promise<void> {
  const daemon = await startDaemon();
  try {
    const id = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(id), '0');
    const one = await startAgain(daemon, bench.runs);
    await daemon.end();
    copyContainers(daemon.directory, id, COUNT);
    const many = await startAgain(daemon, bench.runs);
    await daemon.end();
    writeImages(daemon.directory, COUNT);
    await daemon.begin();

    const lines = async (...words: string[]): Promise<void> => {
      assert.ok((await daemon.call(...words)).split('\n').length > COUNT);
    };
    for (let run = 0; run < WARM_UP; run++) {
      await lines('ps', '-a');
      await lines('images');
    }
    const took = await figuresInTurn(
      { ps: () => duration(() => lines('ps', '-a')), images: () => duration(() => lines('images')) },
      bench.runs * 8,
    );
    for (const [what, ours] of [
      ['`ps -a` with 1,000 containers, raw wire', took.ps],
      ['`images` with 1,000 images, raw wire', took.images],
    ] as const) {
      bench.report({ what, unit: 'ms', ours: ours ?? NaN, against: [{ bound: 10, ambition: 3 }] });
    }
    bench.report({
      what: 'memory (Pss) of the daemon for 1,000 stopped containers',
      unit: 'MB',
      ours: many.memory - one.memory,
      against: [{ ambition: 20 }],
      note: `${many.memory.toFixed(0)} MB in all`,
    });
    bench.report({
      what: 'start of the daemon with 1,000 stopped containers, until it listens',
      unit: 'ms',
      ours: many.start,
      beside: { 'with one': one.start },
      against: [{ ambition: 1000 }],
    });
  } finally {
    await daemon.close();
  }
}

/** Ends it and starts it again: how long the start took, in milliseconds, and its memory then; medians. */
async function startAgain(daemon: TestDaemon, runs: number): Promise<{ start: number; memory: number }> {
  const starts: number[] = [];
  const memories: number[] = [];
  for (let run = 0; run < runs; run++) {
    await daemon.end();
    starts.push(await duration(() => daemon.begin()));
    await daemon.call('ps', '-q');
    memories.push(pssMB([daemon.pid]));
  }
  return { start: median(starts), memory: median(memories) };
}
