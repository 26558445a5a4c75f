// How costs grow: run, list, memory and start over containers, lookups over images, runs over layers.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { entry } from '../archive/tar-builder.js';
import type { TestDaemon } from '../harness.js';
import { changeIndex, copyContainers, writeImages } from './copies.js';
import type { Curve, Series } from './curve.js';
import { duration, inParallel, median } from './measure.js';
import { allPids, removeRunning } from './memory.js';
import { pssMB } from './pss.js';
import { startDaemon, type Bench } from './sides.js';

const STOPPED = { quick: [1, 10, 100, 1000], full: [1, 3, 10, 30, 100, 300, 1000] };
const RUNNING = { quick: [1, 5, 20], full: [1, 3, 10, 30, 100, 200] };
const IMAGES = { quick: [10, 100, 1000], full: [10, 30, 100, 300, 1000, 3000, 10_000] };
const LAYERS = { quick: [1, 10, 30], full: [1, 2, 5, 10, 20, 40, 80, 120] };
const AT_ONCE = 10;
const WARM_UP = 10;
const SAMPLES = { quick: 5, full: 15 };
/** A tar ends with two empty blocks. */
const END_OF_TAR = Buffer.alloc(1024);

/** The costs of one daemon with so many containers. */
interface Costs {
  run: number;
  list: number;
  memory: number;
  start: number;
}

/** See the head of the file. */
export async function benchGrowth(bench: Bench): Promise<void> {
  await overContainers(bench);
  await overImages(bench);
  await overLayers(bench);
}

async function overContainers(bench: Bench): Promise<void> {
  const size = bench.isQuick ? 'quick' : 'full';
  const stopped = await withDaemon((daemon) => overStopped(daemon, STOPPED[size], SAMPLES[size]));
  const running = await withDaemon((daemon) => overRunning(daemon, RUNNING[size], SAMPLES[size]));
  const series = (
    name: string,
    of: ReadonlyMap<number, Costs>,
    cost: keyof Costs,
    expected: Series['expected'],
  ): Series => ({
    name,
    expected,
    points: [...of].map(([count, costs]) => [count, costs[cost]]),
  });
  const draw = (title: string, unit: Curve['unit'], cost: keyof Costs, names: [string, string]): void =>
    bench.draw({
      title,
      things: 'containers',
      unit,
      series: [
        series(names[0], stopped, cost, cost === 'run' ? 'flat' : 'linear'),
        series(names[1], running, cost, cost === 'run' ? 'flat' : 'linear'),
      ],
    });
  draw('Attached run of /bin/true', 'ms', 'run', ['beside stopped ones', 'beside running ones']);
  draw('List of containers', 'ms', 'list', ['ps -a, stopped', 'ps, running']);
  draw('Memory (Pss)', 'MB', 'memory', ['daemon, stopped ones', 'all processes, running ones']);
  draw('Start of the daemon', 'ms', 'start', ['stopped ones', 'running ones, after kill -9']);
}

async function overStopped(
  daemon: TestDaemon,
  counts: readonly number[],
  samples: number,
): Promise<Map<number, Costs>> {
  const costs = new Map<number, Costs>();
  const id = (await daemon.call('run', 'base', '/bin/true')).trim();
  assert.equal(await daemon.stopped(id), '0');
  for (const count of counts) {
    await daemon.end();
    copyContainers(daemon.directory, id, count);
    const start = await duration(() => daemon.begin());
    costs.set(count, { start, ...(await costsNow(daemon, ['ps', '-a'], samples, () => [daemon.pid])) });
  }
  return costs;
}

async function overRunning(
  daemon: TestDaemon,
  counts: readonly number[],
  samples: number,
): Promise<Map<number, Costs>> {
  const costs = new Map<number, Costs>();
  let count = 0;
  for (const wanted of counts) {
    for (; count < wanted; count += Math.min(AT_ONCE, wanted - count)) {
      await inParallel(Math.min(AT_ONCE, wanted - count), () => daemon.call('run', 'base', '/bin/sleep', '100000'));
    }
    await daemon.end('SIGKILL');
    const start = await duration(() => daemon.begin());
    costs.set(count, { start, ...(await costsNow(daemon, ['ps'], samples, () => allPids(daemon))) });
  }
  await removeRunning(daemon);
  return costs;
}

async function costsNow(
  daemon: TestDaemon,
  list: readonly string[],
  samples: number,
  pids: () => number[],
): Promise<Omit<Costs, 'start'>> {
  const memory = pssMB(pids());
  await daemon.call(...list);
  const lists = await sampled(samples, () => daemon.call(...list));
  const before = new Set(await idsOf(daemon));
  const attached = (): Promise<string> => daemon.call('run', '-a', 'base', '/bin/true');
  // A daemon that has just begun runs code that is not compiled yet.
  for (let run = 0; run < WARM_UP; run++) await attached();
  const run = await sampled(samples, attached);
  // What these runs have left would be counted by the next ones.
  const own = (await idsOf(daemon)).filter((id) => !before.has(id));
  assert.equal(await daemon.call('rm', ...own), '');
  return { run, list: lists, memory };
}

async function idsOf(daemon: TestDaemon): Promise<string[]> {
  return (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
}

async function overImages(bench: Bench): Promise<void> {
  const size = bench.isQuick ? 'quick' : 'full';
  const found: [number, number][] = [];
  const runs: [number, number][] = [];
  const copies: [number, number][] = [];
  await withDaemon(async (daemon) => {
    for (const count of IMAGES[size]) {
      await daemon.end();
      writeImages(daemon.directory, count);
      await daemon.begin();
      const name = `image-${Math.floor(count / 2)}`;
      const inspect = async (): Promise<void> => {
        assert.match(await daemon.call('inspect', name), new RegExp(`"Id": "${name}:`));
      };
      for (let run = 0; run < WARM_UP; run++) await inspect();
      found.push([count, await sampled(SAMPLES[size], inspect)]);
      await daemon.call('run', '-a', name, '/bin/true');
      runs.push([count, await sampled(SAMPLES[size], () => daemon.call('run', '-a', name, '/bin/true'))]);
      let copy = 0;
      const cp = (): Promise<string> => daemon.call('cp', 'base', `copy-${copy++}`);
      copies.push([count, await sampled(3, cp)]);
    }
  });
  bench.draw({
    title: 'Images',
    things: 'images',
    unit: 'ms',
    series: [
      { name: 'lookup (inspect NAME)', expected: 'flat', points: found },
      { name: 'attached run', expected: 'flat', points: runs },
      { name: 'a change of the index (cp)', expected: 'linear', points: copies },
    ],
  });
}

async function overLayers(bench: Bench): Promise<void> {
  const size = bench.isQuick ? 'quick' : 'full';
  const points: [number, number][] = [];
  await withDaemon(async (daemon) => {
    const counts = LAYERS[size];
    const most = counts.at(-1) ?? 1;
    for (let at = 1; at < most; at++) {
      const file = entry({ name: `layer-${at}`, content: `${at}` });
      assert.match(await daemon.callWith(Buffer.concat([file, END_OF_TAR]), 'put', `layer-${at}`), /^layer-/);
    }
    await daemon.end();
    changeIndex(daemon.directory, (images) => {
      const layerOf = (name: string): string[] => images[name]?.Layers ?? [];
      const upper = (count: number): string[] =>
        Array.from({ length: count - 1 }, (_, at) => layerOf(`layer-${at + 1}`)).flat();
      return Object.fromEntries(counts.map((count) => [`layers-${count}`, [...upper(count), ...layerOf('base')]]));
    });
    await daemon.begin();
    for (const count of counts) {
      const run = (): Promise<string> => daemon.call('run', '-a', `layers-${count}`, '/bin/true');
      const id = await daemon.call('run', `layers-${count}`, '/bin/true');
      assert.equal(await daemon.stopped(id.trim()), '0');
      const record = readFileSync(join(daemon.directory, 'containers', id.trim(), 'config.json'), 'utf8');
      assert.equal(record.match(/images\/layers\//g)?.length, count);
      points.push([count, await sampled(SAMPLES[size], run)]);
    }
  });
  const series = [{ name: 'raw wire', expected: 'linear' as const, points }];
  bench.draw({ title: 'Attached run over layers', things: 'layers of the image', unit: 'ms', series });
}

/** The median of that many durations, in milliseconds. */
async function sampled(samples: number, action: () => Promise<unknown>): Promise<number> {
  const took: number[] = [];
  for (let sample = 0; sample < samples; sample++) took.push(await duration(action));
  return median(took);
}

async function withDaemon<T>(action: (daemon: TestDaemon) => Promise<T>): Promise<T> {
  const daemon = await startDaemon();
  try {
    return await action(daemon);
  } finally {
    await daemon.close();
  }
}
