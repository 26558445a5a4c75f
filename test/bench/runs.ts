// One container from start to exit, by the raw wire and by the client, beside the plain tools and other engines; none has a
// network. And the start of the client. The client is measured as it is compiled, and as the single executable.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { bareLxc, bareRunc } from './bare.js';
import { buildExecutable, type Executable } from './executable.js';
import { duration, figuresInTurn } from './measure.js';
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

async function byTheClient(bench: Bench, { daemon, docker, podman }: Sides, executable?: Executable): Promise<void> {
  const theirs = (peer: Peer | undefined): { [name: string]: () => Promise<number> } =>
    peer === undefined
      ? {}
      : {
          [peer.name]: () => duration(() => callPeer(peer, ['run', '--rm', '--network', 'none', 'base', '/bin/true'])),
        };
  const took = await figuresInTurn<string>(
    {
      ours: () => duration(async () => assert.equal((await daemon.tsdock(['run', 'base', '/bin/true'])).status, 0)),
      ...(executable === undefined
        ? {}
        : { executable: () => duration(() => executable.call(daemon, 'run', 'base', '/bin/true')) }),
      ...theirs(docker),
      ...theirs(podman),
    },
    bench.runs * 3,
  );
  const beside = { 'docker run --rm': took['docker'], 'podman run --rm': took['podman'] };
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
  const bare = (node: string) => (): Promise<number> => duration(() => promisify(execFile)(node, ['-e', '0']));
  const took = await figuresInTurn(
    {
      ours: () => duration(async () => assert.equal((await daemon.tsdock(['ps', '-q'])).status, 0)),
      node: bare(process.execPath),
      ...(executable === undefined
        ? {}
        : { executable: () => duration(() => executable.call(daemon, 'ps', '-q')), nodeInIt: bare(executable.node) }),
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
