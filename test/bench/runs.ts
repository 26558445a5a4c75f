// One container from start to exit, by the raw wire and by the client, beside the plain tools and other engines; none has a
// network. And the start of the client.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { bareLxc, bareRunc } from './bare.js';
import { duration, figuresInTurn } from './measure.js';
import { callPeer, type Peer } from './peer.js';
import { withSides, type Bench, type Sides } from './sides.js';

const WARM_UP = 10;

/** See the head of the file. */
export async function benchRuns(bench: Bench): Promise<void> {
  await withSides(bench, async (sides) => {
    await overTheWire(bench, sides);
    await byTheClient(bench, sides);
    await clientStart(bench, sides);
  });
}

async function overTheWire(bench: Bench, { daemon }: Sides): Promise<void> {
  const example = (await daemon.call('run', 'base', '/bin/true')).trim();
  assert.equal(await daemon.stopped(example), '0');
  const ours = (): Promise<number> => duration(() => daemon.call('run', '-a', 'base', '/bin/true'));
  // A daemon that has just begun runs code that is not compiled yet.
  for (let run = 0; run < WARM_UP; run++) await ours();
  const bare = bareLxc(daemon, example);
  const runc = bareRunc(daemon);
  if (runc === undefined) bench.absent('runc', 'not installed');
  const took = await figuresInTurn({ ours, bare, ...(runc === undefined ? {} : { runc }) }, bench.runs * 8);
  bench.report({
    what: 'attached run of /bin/true, raw wire, connect to close',
    unit: 'ms',
    ours: took.ours ?? NaN,
    beside: { 'mount, lxc-start, umount': took.bare, 'mount, runc, umount': took.runc },
    against: [{ to: 'mount, lxc-start, umount', bound: 1.8, ambition: 1.3 }],
  });
}

async function byTheClient(bench: Bench, { daemon, docker, podman }: Sides): Promise<void> {
  const theirs = (peer: Peer | undefined): { [name: string]: () => Promise<number> } =>
    peer === undefined
      ? {}
      : {
          [peer.name]: () => duration(() => callPeer(peer, ['run', '--rm', '--network', 'none', 'base', '/bin/true'])),
        };
  const took = await figuresInTurn<string>(
    {
      ours: () => duration(async () => assert.equal((await daemon.tsdock(['run', 'base', '/bin/true'])).status, 0)),
      ...theirs(docker),
      ...theirs(podman),
    },
    bench.runs * 3,
  );
  bench.report({
    what: 'attached run of /bin/true by the client',
    unit: 'ms',
    ours: took['ours'] ?? NaN,
    beside: { 'docker run --rm': took['docker'], 'podman run --rm': took['podman'] },
    against: [
      { to: 'docker run --rm', bound: 0.2 },
      { to: 'podman run --rm', bound: 0.45 },
    ],
  });
}

async function clientStart(bench: Bench, { daemon }: Sides): Promise<void> {
  const took = await figuresInTurn(
    {
      ours: () => duration(async () => assert.equal((await daemon.tsdock(['ps', '-q'])).status, 0)),
      node: () => duration(() => promisify(execFile)(process.execPath, ['-e', '0'])),
    },
    bench.runs * 8,
  );
  bench.report({
    what: 'the client: `tsdock ps -q`, start to exit',
    unit: 'ms',
    ours: took.ours ?? NaN,
    beside: { 'node -e 0': took.node },
    against: [{ to: 'node -e 0', ambition: 1.3 }],
  });
}
