// Memory, as Pss: of a daemon that has nothing to do, and of everything with 50 containers, beside other engines.

import { processesOf, type TestDaemon } from '../harness.js';
import { inParallel } from './measure.js';
import { callPeer, type Peer } from './peer.js';
import { descendants, pssMB } from './pss.js';
import { withSides, type Bench } from './sides.js';

const COUNT = 50;
const SLEEP = ['base', '/bin/sleep', '100000'];

/** See the head of the file. */
export async function benchMemory(bench: Bench): Promise<void> {
  await withSides(bench, async ({ daemon, docker, podman }) => {
    // The import of the image is not what it does when it is idle.
    await daemon.end();
    await daemon.begin();
    await daemon.call('ps');
    const of = (peer: Peer | undefined): number | undefined => (peer === undefined ? undefined : pssMB(peer.pids()));
    bench.report({
      what: 'memory (Pss), no container, the daemon',
      unit: 'MB',
      ours: pssMB([daemon.pid]),
      beside: { 'dockerd and containerd': of(docker) },
      against: [{ bound: 90 }],
    });
    await inParallel(COUNT, () => daemon.call('run', ...SLEEP));
    for (const peer of [docker, podman]) {
      if (peer === undefined) continue;
      await inParallel(COUNT, () => callPeer(peer, ['run', '-d', '--network', 'none', ...SLEEP]));
    }
    bench.report({
      what: `memory (Pss), ${COUNT} containers, all processes`,
      unit: 'MB',
      ours: pssMB(allPids(daemon)),
      beside: { docker: of(docker), podman: of(podman) },
      against: [{ bound: 130 }],
    });
    await removeRunning(daemon);
  });
}

/** Of the daemon, and of what runs for its containers. */
export function allPids(daemon: TestDaemon): number[] {
  const own = processesOf(daemon.directory).map((line) => Number(line.split(' ')[1]));
  return [...new Set([daemon.pid, ...own, ...own.flatMap(descendants)])];
}

/** Kills and removes all containers. */
export async function removeRunning(daemon: TestDaemon): Promise<void> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  await inParallel(ids.length, (at) => daemon.call('kill', ids[at] ?? ''));
  if (ids.length > 0) await daemon.call('rm', ...ids);
}
