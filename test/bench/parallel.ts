// Many containers at once, without a network, beside the plain tools and other engines.

import assert from 'node:assert/strict';
import type { TestDaemon } from '../harness.js';
import { bareLxc } from './bare.js';
import { duration, figuresInTurn, inParallel } from './measure.js';
import { callPeer, type Peer } from './peer.js';
import { withSides, type Bench } from './sides.js';

const COUNT = 50;

/** See the head of the file. */
export async function benchParallel(bench: Bench): Promise<void> {
  await withSides(bench, async ({ daemon, docker, podman }) => {
    const example = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(example), '0');
    const bare = bareLxc(daemon, example, COUNT);
    const attached = async (): Promise<number> => {
      const took = await duration(() => inParallel(COUNT, () => daemon.call('run', '-a', 'base', '/bin/true')));
      await removeAll(daemon);
      return took;
    };
    await attached();
    const beside = await figuresInTurn({ ours: attached, bare }, bench.runs);
    bench.report({
      what: `${COUNT} attached runs at once, raw wire, to the last exit`,
      unit: 'ms',
      ours: beside.ours ?? NaN,
      beside: { 'as many mount, lxc-start, umount': beside.bare },
      against: [{ to: 'as many mount, lxc-start, umount', ambition: 2 }],
    });

    const theirs = (peer: Peer | undefined): { [name: string]: () => Promise<number> } =>
      peer === undefined
        ? {}
        : {
            [peer.name]: () =>
              duration(() =>
                inParallel(COUNT, () => callPeer(peer, ['run', '--rm', '--network', 'none', 'base', '/bin/true'])),
              ),
          };
    const took = await figuresInTurn<string>(
      {
        wire: () => duration(() => runMany(daemon, COUNT)),
        client: () => runClients(daemon),
        ...theirs(docker),
        ...theirs(podman),
      },
      Math.ceil(bench.runs / 2),
    );
    for (const side of ['wire', 'client'] as const) {
      bench.report({
        what: `${COUNT} containers at once, ${side === 'wire' ? 'raw wire' : 'by the client'}, run to removed`,
        unit: 'ms',
        ours: took[side] ?? NaN,
        beside: { 'docker run --rm': took['docker'], 'podman run --rm': took['podman'] },
        against: [{ to: 'docker run --rm', ...(side === 'wire' ? { bound: 0.1 } : {}) }, { to: 'podman run --rm' }],
      });
    }
  });
}

/** Runs that many at once over the raw wire, to their ends, and removes them. */
export async function runMany(daemon: TestDaemon, count: number): Promise<void> {
  await inParallel(count, async () => {
    const id = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(id), '0');
    assert.equal(await daemon.call('rm', id), '');
  });
}

/** The same by clients: how long that took, in milliseconds. */
export async function runClients(daemon: TestDaemon, count = COUNT): Promise<number> {
  return duration(async () => {
    const results = await inParallel(count, () => daemon.tsdock(['run', 'base', '/bin/true']));
    assert.ok(results.every(({ status }) => status === 0));
    await removeAll(daemon);
  });
}

async function removeAll(daemon: TestDaemon): Promise<void> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  if (ids.length > 0) assert.equal(await daemon.call('rm', ...ids), '');
}
