// Many containers at once, without a network, beside the plain tools and other engines.

import assert from 'node:assert/strict';
import type { TestDaemon } from '../harness.js';
import { bareLxc } from './bare.js';
import { duration, figuresInTurn, inParallel, settled, type Action } from './measure.js';
import { callPeer, type Peer } from './peer.js';
import { withSides, type Bench } from './sides.js';

const COUNT = 50;

/** See the head of the file. */
export async function benchParallel(bench: Bench): Promise<void> {
  await withSides(bench, async ({ daemon, docker, podman }) => {
    const example = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(example), '0');
    const bare = bareLxc(daemon, example, COUNT);
    // Nothing is removed in between: it would make what comes next slow.
    const attached = settled(() =>
      duration(() => inParallel(COUNT, () => daemon.call('run', '-a', 'base', '/bin/true'))),
    );
    await attached(0);
    const beside = await figuresInTurn({ ours: attached, bare: settled(bare) }, bench.runs);
    bench.report({
      what: `${COUNT} attached runs at once, raw wire, to the last exit`,
      unit: 'ms',
      ours: beside.ours ?? NaN,
      beside: { 'as many mount, lxc-start, umount': beside.bare },
      against: [{ to: 'as many mount, lxc-start, umount', ambition: 2 }],
    });

    const theirs = (peer: Peer | undefined): Record<string, Action<number>> =>
      peer === undefined ? {} : { [peer.name]: runByPeer(peer) };
    const took = await figuresInTurn<string>(
      {
        wire: attached,
        client: settled(() => duration(() => runClients(daemon, COUNT))),
        ...theirs(docker),
        ...theirs(podman),
      },
      Math.ceil(bench.runs / 2),
    );
    for (const side of ['wire', 'client'] as const) {
      bench.report({
        what: `${COUNT} containers at once, ${side === 'wire' ? 'raw wire' : 'by the client'}, start to the last exit`,
        unit: 'ms',
        ours: took[side] ?? NaN,
        beside: { 'docker run': took['docker'], 'podman run': took['podman'] },
        against: [{ to: 'docker run', ...(side === 'wire' ? { bound: 0.1 } : {}) }, { to: 'podman run' }],
      });
    }
  });
}

function runByPeer(peer: Peer): Action<number> {
  const run = ['run', '--network', 'none', 'base', '/bin/true'];
  return settled(() => duration(() => inParallel(COUNT, () => callPeer(peer, run))));
}

/** Runs that many at once over the raw wire, to their ends, and removes them. */
export async function runMany(daemon: TestDaemon, count: number): Promise<void> {
  await inParallel(count, async () => {
    const id = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(id), '0');
    assert.equal(await daemon.call('rm', id), '');
  });
}

/** Runs that many at once by clients, to their ends. */
export async function runClients(daemon: TestDaemon, count: number): Promise<void> {
  const results = await inParallel(count, () => daemon.tsdock(['run', 'base', '/bin/true']));
  assert.ok(results.every(({ status }) => status === 0));
}

/** Removes all containers, which must have ended. */
export async function removeAll(daemon: TestDaemon): Promise<void> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  if (ids.length > 0) assert.equal(await daemon.call('rm', ...ids), '');
}
