// Layers: import, diff and commit, beside what the plain tools take for the same bytes.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TestDaemon } from '../harness.js';
import { entry } from '../archive/tar-builder.js';
import { debianFile, writeDebianShape } from './debian-shape.js';
import { duration, figuresInTurn, median, settled, type Action } from './measure.js';
import { callPeer, type Command, type Peer } from './peer.js';
import { withSides, type Bench, type Sides } from './sides.js';

const MIB = 1024 * 1024;

/** Of the archive that the memory is measured with. */
const ARCHIVE_MIB = { quick: 512, full: 4096 };

/** See the head of the file. */
export async function benchLayers(bench: Bench): Promise<void> {
  await withSides(bench, async (sides) => {
    const archive = join(sides.daemon.directory, 'debian.tar');
    writeDebianShape(archive);
    await importing(bench, sides, archive);
    await memory(bench, sides.daemon);
    await diffing(bench, sides);
    await committing(bench, sides);
  });
}

async function importing(bench: Bench, { daemon, docker, podman }: Sides, archive: string): Promise<void> {
  const { runs } = bench;
  const { host, port } = daemon.tcp;
  // Each import is of another archive, or the layer would be there already: one file more in front.
  const stream = (run: number | string): string => `{ printf %s '${extraFile(run)}' | base64 -d; cat '${archive}'; }`;
  const plain = join(daemon.directory, 'plain');
  mkdirSync(plain);
  await shell(`cat '${archive}' >/dev/null`);
  const plainTools = (run: number | string): string =>
    `mkdir '${plain}/${run}'; ${stream(run)} | tee >(sha256sum >/dev/null) | tar -x -C '${plain}/${run}'`;
  const took = await figuresInTurn<string>(
    {
      ours: timed((run) => shell(`{ echo '["put","debian"]'; ${stream(run)}; } | nc -N ${host} ${port} >/dev/null`)),
      plain: timed((run) => shell(plainTools(run))),
      synced: timed((run) => shell(`${plainTools(`${run}-synced`)}; sync -f '${plain}'`)),
      ...each([docker, podman], (peer) =>
        timed((run) => shell(`${stream(run)} | "$@" >/dev/null`, peer.command('import', '-', 'debian'))),
      ),
    },
    runs,
  );
  const tools = 'tee >(sha256sum) | tar -x';
  const synced = 'with sync -f behind it';
  bench.report({
    what: 'import of a 200 MB tree in 6,800 entries',
    unit: 'ms',
    ours: took['ours'] ?? NaN,
    beside: { [tools]: took['plain'], [synced]: took['synced'], docker: took['docker'], podman: took['podman'] },
    // Ours is on the disk when the caller is told.
    against: [{ to: tools, bound: 1.3 }, { to: synced }],
  });

  const importUnderWay = shell(`{ echo '["put","debian"]'; ${stream(runs)}; } | nc -N ${host} ${port} >/dev/null`);
  const ended = importUnderWay.then(() => true);
  const latencies: number[] = [];
  do {
    const startedAt = performance.now();
    await daemon.call('ps');
    latencies.push(performance.now() - startedAt);
  } while (!(await Promise.race([ended, sleep(5, false)])));
  bench.report({
    what: '`ps` while that goes on',
    unit: 'ms',
    ours: median(latencies),
    against: [{ bound: 20 }],
    note: `slowest of ${latencies.length}: ${Math.max(...latencies).toFixed(0)} ms`,
  });
}

async function memory(bench: Bench, daemon: TestDaemon): Promise<void> {
  const archiveMiB = ARCHIVE_MIB[bench.isQuick ? 'quick' : 'full'];
  const { host, port } = daemon.tcp;
  const size = archiveMiB * MIB;
  const header = entry({ name: 'large', size, content: '' }).subarray(0, 512).toString('base64');
  const content = `openssl enc -aes-128-ctr -nosalt -K 00 -iv 00 </dev/zero 2>/dev/null | head -c ${size}`;
  await shell(
    `{ echo '["put","large"]'; printf %s '${header}' | base64 -d; ${content}; head -c 1024 /dev/zero; } | nc -N ${host} ${port} >/dev/null`,
  );
  const peakMB = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.[1]) / 1000;
  bench.report({
    what: `resident memory of the daemon, at its peak, after an archive of ${archiveMiB} MiB`,
    unit: 'MB',
    ours: peakMB,
    against: [{ bound: 150 }],
  });
}

async function diffing(bench: Bench, { daemon, docker, podman }: Sides): Promise<void> {
  const changed = Array.from({ length: 1000 }, (_, i) => debianFile(i * 5));
  const change = 'for name; do echo x >> "/$name"; done';
  const words = ['debian', '/bin/sh', '-c', change, 'sh', ...changed];
  const id = (await daemon.call('run', ...words)).trim();
  assert.equal(await daemon.stopped(id), '0');
  const rw = join(daemon.directory, 'containers', id, 'rw');
  const diff = async (): Promise<void> => {
    const files = (await daemon.call('diff', id)).split('\n').filter((line) => line.includes('/file-'));
    assert.equal(files.length, 1000);
  };
  for (const peer of [docker, podman]) {
    if (peer !== undefined) await callPeer(peer, ['run', '--name', 'changed', '--network', 'none', ...words]);
  }
  const took = await figuresInTurn<string>(
    {
      ours: () => duration(diff),
      find: () => duration(() => shell(`find '${rw}' >/dev/null`)),
      ...each([docker, podman], (peer) => () => duration(() => callPeer(peer, ['diff', 'changed']))),
    },
    bench.runs * 4,
  );
  bench.report({
    what: 'diff of 1,000 changed files',
    unit: 'ms',
    ours: took['ours'] ?? NaN,
    beside: { find: took['find'], docker: took['docker'], podman: took['podman'] },
    against: [{ bound: 40 }],
  });
}

async function committing(bench: Bench, { daemon, docker, podman }: Sides): Promise<void> {
  const words = ['base', '/bin/dd', 'if=/dev/urandom', 'of=/data/large', 'bs=1M', 'count=200'];
  const id = (await daemon.call('run', ...words)).trim();
  assert.equal(await daemon.stopped(id), '0');
  const rw = join(daemon.directory, 'containers', id, 'rw');
  for (const peer of [docker, podman]) {
    if (peer !== undefined) await callPeer(peer, ['run', '--name', 'large', '--network', 'none', ...words]);
  }
  const took = await figuresInTurn<string>(
    {
      ours: timed(async (run) => {
        // Something new each time, or the layer would be there already.
        assert.equal(await daemon.callWith(`${run}`, 'write', id, '/data/run'), '');
        assert.match(await daemon.call('commit', id, 'committed'), /^committed:/);
      }),
      tar: timed(() => shell(`tar -C '${rw}' -c . | sha256sum >/dev/null`)),
      ...each([docker, podman], (peer) => timed(() => callPeer(peer, ['commit', 'large', 'committed']))),
    },
    bench.runs,
  );
  bench.report({
    what: 'commit of a change of 200 MiB',
    unit: 'ms',
    ours: took['ours'] ?? NaN,
    beside: { 'tar -c | sha256sum': took['tar'], docker: took['docker'], podman: took['podman'] },
    against: [{ to: 'tar -c | sha256sum', bound: 1.5 }],
  });
}

/** How long that takes on a disk that has settled, in milliseconds. */
function timed(action: Action<unknown>): Action<number> {
  return settled((run) => duration(() => action(run)));
}

/** What each engine that is there does, by its name. */
function each(
  peers: readonly (Peer | undefined)[],
  action: (peer: Peer) => Action<number>,
): Record<string, Action<number>> {
  return Object.fromEntries(peers.flatMap((peer) => (peer === undefined ? [] : [[peer.name, action(peer)]])));
}

/** A file for the beginning of an archive, in base64. */
function extraFile(run: number | string): string {
  return entry({ name: 'number', content: `${run}` }).toString('base64');
}

/** With the words of `command`, where there is one, as its arguments. */
function shell(script: string, command?: Command): Promise<void> {
  return new Promise((resolve, reject) => {
    const words = command === undefined ? [] : [command.file, ...command.args];
    const child = spawn('bash', ['-c', `set -o pipefail; ${script}`, 'bash', ...words], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: command?.env ?? process.env,
    });
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`"${script}" ended with ${code}`))));
  });
}
