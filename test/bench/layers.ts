// Layers: import, diff and commit, beside what the plain tools take for the same bytes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestDaemon } from '../harness.js';
import { entry } from '../archive/tar-builder.js';
import { debianFile, writeDebianShape } from './debian-shape.js';
import { inTurn, median, ms, type Measured } from './measure.js';

const MIB = 1024 * 1024;

/** How much is done. */
export interface LayersOptions {
  runs: number;
  /** of the archive that the memory is measured with, in MiB */
  archiveMiB: number;
}

/** Measures everything about layers, and prints each result when it is there. */
export async function benchLayers(options: LayersOptions, report: (measured: Measured) => void): Promise<void> {
  const daemon = await TestDaemon.start();
  try {
    const archive = join(daemon.directory, 'debian.tar');
    writeDebianShape(archive);
    await importing(daemon, archive, options, report);
    await memory(daemon, options, report);
    await diffing(daemon, options, report);
    await committing(daemon, options, report);
  } finally {
    await daemon.close();
  }
}

async function importing(
  daemon: TestDaemon,
  archive: string,
  { runs }: LayersOptions,
  report: (measured: Measured) => void,
): Promise<void> {
  const { host, port } = daemon.tcp;
  // Each import is of another archive, or the layer would be there already: one file more in front.
  const stream = (run: number): string => `{ printf %s '${extraFile(run)}' | base64 -d; cat '${archive}'; }`;
  const plain = join(daemon.directory, 'plain');
  mkdirSync(plain);
  await shell(`cat '${archive}' >/dev/null`);
  const took = await inTurn(
    {
      ours: (run) => shell(`{ echo '["put","debian"]'; ${stream(run)}; } | nc -N ${host} ${port} >/dev/null`),
      theirs: (run) =>
        shell(`mkdir '${plain}/${run}'; ${stream(run)} | tee >(sha256sum >/dev/null) | tar -x -C '${plain}/${run}'`),
    },
    runs,
  );
  report({
    what: 'import of a 200 MB tree in 6,800 entries',
    ours: ms(took.ours),
    theirs: `tee >(sha256sum) | tar -x: ${ms(took.theirs)}`,
    figure: took.ours / took.theirs,
    bound: 1.3,
  });

  const importUnderWay = shell(`{ echo '["put","debian"]'; ${stream(runs)}; } | nc -N ${host} ${port} >/dev/null`);
  const ended = importUnderWay.then(() => true);
  const latencies: number[] = [];
  do {
    const startedAt = performance.now();
    await daemon.call('ps');
    latencies.push(performance.now() - startedAt);
  } while (!(await Promise.race([ended, sleep(5, false)])));
  report({
    what: 'ps while that goes on (median)',
    ours: `${ms(median(latencies))}, slowest of ${latencies.length} ${ms(Math.max(...latencies))}`,
    theirs: '',
    figure: median(latencies),
    bound: 20,
  });
}

async function memory(
  daemon: TestDaemon,
  { archiveMiB }: LayersOptions,
  report: (measured: Measured) => void,
): Promise<void> {
  const { host, port } = daemon.tcp;
  const size = archiveMiB * MIB;
  const header = entry({ name: 'large', size, content: '' }).subarray(0, 512).toString('base64');
  const content = `openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 </dev/zero 2>/dev/null | head -c ${size}`;
  await shell(
    `{ echo '["put","large"]'; printf %s '${header}' | base64 -d; ${content}; head -c 1024 /dev/zero; } | nc -N ${host} ${port} >/dev/null`,
  );
  const peakMB = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) / 1000;
  report({
    what: `resident memory of the daemon, at its peak, after an archive of ${archiveMiB} MiB`,
    ours: `${peakMB.toFixed(0)} MB`,
    theirs: '',
    figure: peakMB,
    bound: 150,
  });
}

async function diffing(
  daemon: TestDaemon,
  { runs }: LayersOptions,
  report: (measured: Measured) => void,
): Promise<void> {
  const changed = Array.from({ length: 1000 }, (_, i) => debianFile(i * 5));
  const change = 'for name; do echo x >> "/$name"; done';
  const id = (await daemon.call('run', 'debian', '/bin/sh', '-c', change, 'sh', ...changed)).trim();
  assert.equal(await daemon.stopped(id), '0');
  const rw = join(daemon.directory, 'containers', id, 'rw');
  const diff = async (): Promise<void> => {
    const files = (await daemon.call('diff', id)).split('\n').filter((line) => line.includes('/file-'));
    assert.equal(files.length, 1000);
  };
  const took = await inTurn({ ours: diff, theirs: () => shell(`find '${rw}' >/dev/null`) }, runs * 4);
  report({
    what: 'diff of 1,000 changed files',
    ours: ms(took.ours),
    theirs: `find: ${ms(took.theirs)}`,
    figure: took.ours,
    bound: 40,
  });
}

async function committing(
  daemon: TestDaemon,
  { runs }: LayersOptions,
  report: (measured: Measured) => void,
): Promise<void> {
  const id = (
    await daemon.call('run', 'base', '/bin/dd', 'if=/dev/urandom', 'of=/data/large', 'bs=1M', 'count=200')
  ).trim();
  assert.equal(await daemon.stopped(id), '0');
  const rw = join(daemon.directory, 'containers', id, 'rw');
  const took = await inTurn(
    {
      ours: async (run) => {
        // Something new each time, or the layer would be there already.
        assert.equal(await daemon.callWith(`${run}`, 'write', id, '/data/run'), '');
        assert.match(await daemon.call('commit', id, 'committed'), /^committed:/);
      },
      theirs: () => shell(`tar -C '${rw}' -c . | sha256sum >/dev/null`),
    },
    runs,
  );
  report({
    what: 'commit of a change of 200 MiB',
    ours: ms(took.ours),
    theirs: `tar -c | sha256sum: ${ms(took.theirs)}`,
    figure: took.ours / took.theirs,
    bound: 1.5,
  });
}

/** A file for the beginning of an archive, in base64. */
function extraFile(run: number): string {
  return entry({ name: 'run', content: `${run}` }).toString('base64');
}

function shell(script: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', `set -o pipefail; ${script}`], { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`"${script}" ended with ${code}`))));
  });
}
