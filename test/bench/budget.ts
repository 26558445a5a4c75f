// Where the time of one run goes, from the caller's connection to its end: between which steps of the daemon, as it announces
// them itself (src/util/steps.ts), how much of it passes. src/README.md explains each row.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bareLxc } from './bare.js';
import { median } from './measure.js';
import { startDaemon, type Bench } from './sides.js';
import type { StepTime } from './step-times.js';

const WARM_UP = 10;
const RUNS_EACH = 12;

/** From the step before (the first: from the caller's connect) to this one, in the order of a run. */
const PARTS: readonly (readonly [step: string, what: string])[] = [
  ['call', 'accepted, looked at who calls, the line read'],
  ['create', 'the folder of the container'],
  ['mount', 'the union mounted'],
  ['config', 'program looked up, logs, streams, config.lxc'],
  ['lxc-start', 'the holder of the streams and lxc-start are processes'],
  ['exit', 'LXC, the program, and LXC again; meanwhile the record is saved'],
  ['umount', 'the end noticed, the output in the log, unmounted'],
  ['close', 'the reply ended, seen by the caller; meanwhile the record is saved'],
];

interface Seen {
  beganAtMs: number;
  endedAtMs: number;
}

/** See the head of the file. */
export async function benchBudget(bench: Bench): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  const file = join(folder, 'steps.json');
  const preload = new URL(`./step-times.js?file=${file}`, import.meta.url).href;
  const daemon = await startDaemon({ environment: { NODE_OPTIONS: `--import=${preload}` } });
  try {
    const seen: Seen[] = [];
    const bare: number[] = [];
    const example = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(example), '0');
    const runBare = bareLxc(daemon, example);
    for (let run = 0; run < WARM_UP + bench.runs * RUNS_EACH; run++) {
      const beganAtMs = now();
      await daemon.call('run', '-a', 'base', '/bin/true');
      seen.push({ beganAtMs, endedAtMs: now() });
      bare.push(await runBare());
    }
    await daemon.end('SIGTERM');
    const steps = JSON.parse(readFileSync(file, 'utf8')) as StepTime[]; // as step-times.ts writes them
    const parts = seen.slice(WARM_UP).map((run) => partsOf(run, steps));
    for (const [at, [, what]] of PARTS.entries()) {
      bench.report({ what: `of one run: ${what}`, unit: 'ms', ours: median(parts.map((each) => each[at] ?? NaN)) });
    }
    bench.report({
      what: 'of one run: all of it',
      unit: 'ms',
      ours: median(parts.map((each) => each.reduce((sum, part) => sum + part, 0))),
      beside: { 'mount, lxc-start, umount': median(bare.slice(WARM_UP)) },
      against: [{ to: 'mount, lxc-start, umount', bound: 1.8, ambition: 1.3 }],
    });
  } finally {
    await daemon.close();
    rmSync(folder, { recursive: true });
  }
}

/** How long each part of a run took. */
function partsOf({ beganAtMs, endedAtMs }: Seen, steps: readonly StepTime[]): number[] {
  const during = steps.filter(({ atMs }) => atMs >= beganAtMs && atMs <= endedAtMs);
  let before = beganAtMs;
  return PARTS.map(([step]) => {
    const atMs = step === 'close' ? endedAtMs : during.findLast(({ name }) => name === step)?.atMs;
    assert.ok(atMs !== undefined, `no step ${step} in ${during.map(({ name }) => name).join(' ')}`);
    const took = atMs - before;
    before = atMs;
    return took;
  });
}

function now(): number {
  return performance.timeOrigin + performance.now();
}
