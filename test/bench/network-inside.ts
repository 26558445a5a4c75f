// Containers on a network: start to exit beside the plain tools, many at once and the throughput beside docker's bridge, and
// the calls of iptables.
//
// A program of its own, in a network of its own (own-network.sh): nothing here touches the machine's. Docker has another, so
// that no rule of the one side costs the other anything. Each result goes to whoever started it, when it is there.
//
//     network-inside.js RUNS

import assert from 'node:assert/strict';
import { TestDaemon } from '../harness.js';
import { bareLxc } from './bare.js';
import { BenchDocker } from './docker.js';
import { IptablesCalls } from './iptables-calls.js';
import { duration, figuresInTurn, inParallel, type Measured } from './measure.js';
import { removeAll, runClients, runMany } from './parallel.js';
import { callPeer } from './peer.js';
import { sender, throughput } from './throughput.js';

const PARALLEL = 50;
const PUBLISHING = 20;
const WARM_UP = 10;

const runs = Number(process.argv[2]);
const onDisconnect = (): void => process.exit(1);
process.once('disconnect', onDisconnect); // who started it has died: what is owned here is freed at 'exit'
const calls = new IptablesCalls();
const daemon = await TestDaemon.start({
  network: {
    enter: [],
    address: '127.0.0.1',
    environment: { ...process.env, PATH: calls.path },
    // What is to be cleaned goes with the namespaces that this process is in.
    guard: () => undefined,
    clean: () => Promise.resolve(),
  },
});
try {
  await startToExit();
  await iptablesCalls();
  const docker = await BenchDocker.start();
  if (docker !== undefined) await besideDocker(docker).finally(() => docker.close());
} finally {
  await daemon.close();
}
process.off('disconnect', onDisconnect);
process.disconnect();

function report(measured: Measured): void {
  process.send?.(measured);
}

async function startToExit(): Promise<void> {
  assert.match(await daemon.call('run', '-a', 'base', '/bin/ip', '-o', 'addr'), / eth0 +inet /);
  const example = (await daemon.call('run', 'base', '/bin/true')).trim();
  await daemon.stopped(example);
  const bare = bareLxc(daemon, example);
  const ours = (): Promise<number> => duration(() => daemon.call('run', '-a', 'base', '/bin/true'));
  // A daemon that has just begun runs code that is not compiled yet.
  for (let run = 0; run < WARM_UP; run++) await ours();
  const took = await figuresInTurn({ ours, theirs: bare }, runs * 8);
  report({
    what: 'attached run of /bin/true with an address on the bridge, raw wire',
    unit: 'ms',
    ours: took.ours ?? NaN,
    beside: { 'mount, lxc-start, umount': took.theirs },
    against: [{ to: 'mount, lxc-start, umount', bound: 1.3 }],
  });
}

async function iptablesCalls(): Promise<void> {
  report({
    what: `calls of iptables for ${PUBLISHING} containers that publish nothing`,
    unit: 'calls',
    ours: await calls.during(() => runMany(daemon, PUBLISHING)),
    against: [{ bound: 0 }],
  });
  const ids: string[] = [];
  const toStart = await calls.during(() =>
    inParallel(PUBLISHING, async () => {
      ids.push((await daemon.call('run', '-p', '80', 'base', '/bin/sleep', '600')).trim());
    }),
  );
  for (const id of ids) assert.match(await daemon.call('port', id, '80'), /^\d+\n$/);
  const toEnd = await calls.during(() =>
    inParallel(PUBLISHING, async (at) => assert.equal(await daemon.call('rm', '-f', ids[at] ?? ''), '')),
  );
  report({
    what: `calls of iptables for ${PUBLISHING} containers that publish a port, started at once and removed at once`,
    unit: 'calls',
    ours: toStart + toEnd,
    against: [{ bound: PUBLISHING }],
    note: `${toStart} and ${toEnd}`,
  });
}

async function besideDocker(docker: BenchDocker): Promise<void> {
  await manyAtOnce(docker);
  await sending(docker);
}

async function manyAtOnce(docker: BenchDocker): Promise<void> {
  const took = await figuresInTurn(
    {
      wire: () => duration(() => runMany(daemon, PARALLEL)),
      client: () =>
        duration(async () => {
          await runClients(daemon, PARALLEL);
          await removeAll(daemon);
        }),
      docker: () => duration(() => inParallel(PARALLEL, () => callPeer(docker, ['run', '--rm', 'base', '/bin/true']))),
    },
    Math.ceil(runs / 2),
  );
  for (const side of ['wire', 'client'] as const) {
    report({
      what: `${PARALLEL} containers on the bridge at once, ${side === 'wire' ? 'raw wire' : 'by the client'}, run to removed`,
      unit: 'ms',
      ours: took[side] ?? NaN,
      beside: { 'docker run --rm': took.docker },
      against: [{ to: 'docker run --rm', bound: 1 }],
    });
  }
}

async function sending(docker: BenchDocker): Promise<void> {
  const gateway = (route: string): string => /default via (\S+)/.exec(route)?.[1] ?? '';
  const ourHost = gateway(await daemon.call('run', '-a', 'base', '/bin/ip', 'route'));
  const theirHost = gateway(await callPeer(docker, ['run', '--rm', 'base', '/bin/ip', 'route']));
  const speed = await figuresInTurn(
    {
      ours: () => throughput([], () => daemon.call('run', '-a', 'base', ...sender(ourHost))),
      theirs: () => throughput(docker.enter, () => callPeer(docker, ['run', '--rm', 'base', ...sender(theirHost)])),
    },
    runs * 3,
  );
  report({
    what: 'throughput from a container to its host',
    unit: 'MB/s',
    ours: speed.ours ?? NaN,
    beside: { "docker's bridge": speed.theirs },
    // Both go the same way through the kernel: what is less than 1 is noise, up to a tenth of it here.
    against: [{ to: "docker's bridge", bound: 0.9, isLeast: true }],
  });
}
