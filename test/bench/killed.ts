// Lines lost when the daemon is killed while a container prints as fast as it can, and started again.

import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../harness.js';
import { BenchDocker } from './docker.js';
import { callPeer } from './peer.js';
import { descendants } from './pss.js';
import { startDaemon, startPeer, type Bench } from './sides.js';

const LINES = { quick: 1_000_000, full: 3_000_000 };
/** How much has been printed when the daemon dies. */
const BEFORE_BYTES = 1_000_000;
const DEADLINE_MS = 120_000;

/** See the head of the file. */
export async function benchKilled(bench: Bench): Promise<void> {
  const lines = bench.isQuick ? LINES.quick : LINES.full;
  const ours = await lostByUs(lines);
  const docker = await startPeer(bench, 'docker', () => BenchDocker.start({ isRestarted: true }));
  try {
    bench.report({
      what: `lines lost or doubled of ${lines.toLocaleString('en-US')}, the daemon killed meanwhile and started again`,
      unit: 'lines',
      ours,
      beside: { 'docker with live-restore': docker === undefined ? undefined : await lostByDocker(docker, lines) },
      against: [{ bound: 0 }],
    });
  } finally {
    await docker?.close();
  }
}

async function lostByUs(lines: number): Promise<number> {
  const daemon = await startDaemon();
  try {
    const id = (await daemon.call('run', 'base', '/bin/seq', '1', String(lines))).trim();
    const log = join(daemon.directory, 'containers', id, `${id}-stdout.log`);
    await printed(() => statSync(log).size);
    await daemon.end('SIGKILL');
    assert.ok(statSync(log).size < String(lines).length * lines * 0.8, 'the daemon was killed after the last line');
    await daemon.begin();
    assert.equal(await daemon.stopped(id), '0');
    return wrongLines(await daemon.call('logs', id), lines);
  } finally {
    await daemon.close();
  }
}

async function lostByDocker(docker: BenchDocker, lines: number): Promise<number> {
  const args = ['run', '-d', '--network', 'none', 'base', '/bin/seq', '1', String(lines)];
  const id = (await callPeer(docker, args)).trim();
  const log = join(docker.folder, 'data/containers', id, `${id}-json.log`);
  await printed(() => statSync(log, { throwIfNoEntry: false })?.size ?? 0);
  const killed = daemonOf(docker);
  process.kill(killed, 'SIGKILL');
  await until(() => ![0, killed].includes(daemonOf(docker)), 'dockerd is started again');
  await docker.listening();
  const isRunning = async (): Promise<boolean> =>
    (await callPeer(docker, ['inspect', '-f', '{{.State.Running}}', id])).trim() === 'true';
  await until(async () => !(await isRunning()), 'the container has ended', DEADLINE_MS);
  return wrongLines(await callPeer(docker, ['logs', id]), lines);
}

/** Polls without a pause that matters: what prints is fast. */
async function printed(bytes: () => number): Promise<void> {
  const deadline = performance.now() + DEADLINE_MS;
  while (bytes() < BEFORE_BYTES) {
    assert.ok(performance.now() < deadline, 'nothing is printed');
    await sleep(1);
  }
}

/** How many of 1 to `lines` do not stand there once. */
function wrongLines(text: string, lines: number): number {
  const times = new Uint8Array(lines + 1);
  for (const line of text.split('\n')) {
    const number = Number(line);
    if (number >= 1 && number <= lines) times[number] = (times[number] ?? 0) + 1;
  }
  return times.subarray(1).reduce((sum, count) => sum + (count === 1 ? 0 : 1), 0);
}

/** 0 where there is none. */
function daemonOf(docker: BenchDocker): number {
  return descendants(docker.pid).find((pid) => nameOf(pid) === 'dockerd') ?? 0;
}

function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return ''; // it has ended
  }
}
