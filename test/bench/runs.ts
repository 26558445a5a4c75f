// One container from start to exit, by the raw wire and by the client, beside the plain tools and other engines; none has a
// network. And the start of the client. The client is measured as it is compiled, and as the single executable.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { bareLxc, bareRunc } from './bare.js';
import type { TestDaemon } from '../harness.js';
import { buildExecutable, type Executable } from './executable.js';
import { duration, figuresInTurn, settled, type Action } from './measure.js';
import { callPeer, type Peer } from './peer.js';
import { withSides, type Bench, type Sides } from './sides.js';

const WARM_UP = 10;

/** See the head of the file. */
export async function benchRuns(bench: Bench): Promise<void> {
  const executable = buildExecutable(bench);
  await withSides(bench, async (sides) => {
    await overTheWire(bench, sides);
    await byTheClient(bench, sides, executable);
    await clientStart(bench, sides, executable);
  });
}

async function overTheWire(bench: Bench, { daemon }: Sides): Promise<void> {
  const example = await ended(daemon);
  const ours = timed(() => daemon.call('run', '-a', 'base', '/bin/true'));
  // A daemon that has just begun runs code that is not compiled yet.
  for (let run = 0; run < WARM_UP; run++) await ours(run);
  const bare = settled(bareLxc(daemon, example));
  const bareWithRunc = bareRunc(daemon);
  const runc = bareWithRunc === undefined ? undefined : settled(bareWithRunc);
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

async function byTheClient(bench: Bench, { daemon, docker, podman }: Sides, executable?: Executable): Promise<void> {
  const bare = bareLxc(daemon, await ended(daemon));
  const theirs = (peer: Peer | undefined): Record<string, Action<number>> =>
    peer === undefined
      ? {}
      : { [peer.name]: timed(() => callPeer(peer, ['run', '--rm', '--network', 'none', 'base', '/bin/true'])) };
  const took = await figuresInTurn<string>(
    {
      ours: timed(async () => assert.equal((await daemon.tsdock(['run', 'base', '/bin/true'])).status, 0)),
      ...(executable === undefined
        ? {}
        : { executable: timed(() => executable.call(daemon, 'run', 'base', '/bin/true')) }),
      ...theirs(docker),
      ...theirs(podman),
      floor: settled(async () => (await duration(bareNode(process.execPath))) + (await bare())),
    },
    bench.runs * 3,
  );
  const beside = {
    'docker run --rm': took['docker'],
    'podman run --rm': took['podman'],
    'node -e 0, then mount, lxc-start, umount': took['floor'],
  };
  const against = [
    { to: 'docker run --rm', bound: 0.2 },
    { to: 'podman run --rm', bound: 0.45 },
  ];
  const what = 'attached run of /bin/true by the client';
  bench.report({ what, unit: 'ms', ours: took['ours'] ?? NaN, beside, against });
  if (took['executable'] === undefined) return;
  bench.report({ what: `${what} in the single executable`, unit: 'ms', ours: took['executable'], beside, against });
}

async function clientStart(bench: Bench, { daemon }: Sides, executable?: Executable): Promise<void> {
  const took = await figuresInTurn(
    {
      ours: () => duration(async () => assert.equal((await daemon.tsdock(['ps', '-q'])).status, 0)),
      node: () => duration(bareNode(process.execPath)),
      ...(executable === undefined
        ? {}
        : {
            executable: () => duration(() => executable.call(daemon, 'ps', '-q')),
            nodeInIt: () => duration(bareNode(executable.node)),
          }),
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
  if (took.executable === undefined) return;
  bench.report({
    what: 'the client in the single executable: `tsdock ps -q`, start to exit',
    unit: 'ms',
    ours: took.executable,
    beside: { 'node -e 0 of its version': took.nodeInIt },
    against: [{ to: 'node -e 0 of its version', bound: 1.3 }],
  });
}

/** How long that takes on a disk that has settled, in milliseconds. */
function timed(action: () => Promise<unknown>): Action<number> {
  return settled(() => duration(action));
}

/** A container that has run /bin/true: its id. */
async function ended(daemon: TestDaemon): Promise<string> {
  const id = (await daemon.call('run', 'base', '/bin/true')).trim();
  assert.equal(await daemon.stopped(id), '0');
  return id;
}

function bareNode(node: string): () => Promise<unknown> {
  return () => promisify(execFile)(node, ['-e', '0']);
}
