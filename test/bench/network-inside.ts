// Containers on a network: start to exit beside the plain tools, many at once and the throughput beside docker's bridge, and
// the calls of iptables.
//
// A program of its own, in a network of its own (own-network.sh): nothing here touches the machine's. Docker has another, so
// that no rule of the one side costs the other anything. Each result goes to whoever started it, when it is there.
//
//     network-inside.js RUNS

import assert from 'node:assert/strict';
import { TestDaemon } from '../harness.js';
import { bareLxc } from './bare-lxc.js';
import { BenchDocker } from './docker.js';
import { IptablesCalls } from './iptables-calls.js';
import { duration, figuresInTurn, inTurn, ms, type Measured } from './measure.js';
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
  if (docker === undefined) console.log('docker is not here to compare with');
  else await besideDocker(docker).finally(() => docker.close());
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
    what: 'attached run of /bin/true with an address on the bridge, start to exit',
    ours: ms(took.ours),
    theirs: `mount, lxc-start with the same configuration, umount: ${ms(took.theirs)}`,
    figure: took.ours / took.theirs,
    bound: 1.3,
  });
}

async function iptablesCalls(): Promise<void> {
  const without = await calls.during(() => runMany(PUBLISHING));
  report({
    what: `calls of iptables for ${PUBLISHING} containers that publish nothing`,
    ours: String(without),
    theirs: '',
    figure: without,
    bound: 0,
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
    ours: `${toStart} and ${toEnd}`,
    theirs: '',
    figure: toStart + toEnd,
    bound: PUBLISHING,
  });
}

async function besideDocker(docker: BenchDocker): Promise<void> {
  await manyAtOnce(docker);
  await sending(docker);
}

async function manyAtOnce(docker: BenchDocker): Promise<void> {
  const took = await inTurn(
    {
      ours: () => runMany(PARALLEL),
      client: async () => {
        const results = await inParallel(PARALLEL, () => daemon.tsdock(['run', 'base', '/bin/true']));
        assert.ok(results.every(({ status }) => status === 0));
        await removeAll();
      },
      theirs: async () => {
        await inParallel(PARALLEL, () => docker.call('run', '--rm', 'base', '/bin/true'));
      },
    },
    Math.ceil(runs / 2),
  );
  for (const side of ['ours', 'client'] as const) {
    report({
      what: `${PARALLEL} containers at once, ${side === 'ours' ? 'raw wire' : 'by the client'}, run to removed`,
      ours: ms(took[side]),
      theirs: `docker run --rm on its bridge: ${ms(took.theirs)}`,
      figure: took[side] / took.theirs,
      bound: 1,
    });
  }
}

async function sending(docker: BenchDocker): Promise<void> {
  const gateway = (route: string): string => /default via (\S+)/.exec(route)?.[1] ?? '';
  const ourHost = gateway(await daemon.call('run', '-a', 'base', '/bin/ip', 'route'));
  const theirHost = gateway(await docker.call('run', '--rm', 'base', '/bin/ip', 'route'));
  const speed = await figuresInTurn(
    {
      ours: () => throughput([], () => daemon.call('run', '-a', 'base', ...sender(ourHost))),
      theirs: () => throughput(docker.enter, () => docker.call('run', '--rm', 'base', ...sender(theirHost))),
    },
    runs * 3,
  );
  report({
    what: 'throughput from a container to its host',
    ours: `${speed.ours.toFixed(0)} MB/s`,
    theirs: `docker's bridge: ${speed.theirs.toFixed(0)} MB/s`,
    // Both go the same way through the kernel: what is more than 1 is noise, up to a tenth of it here.
    figure: speed.theirs / speed.ours,
    bound: 1.1,
  });
}

/** Runs that many at once over the raw wire, to their ends, and removes them. */
async function runMany(count: number): Promise<void> {
  await inParallel(count, async () => {
    const id = (await daemon.call('run', 'base', '/bin/true')).trim();
    assert.equal(await daemon.stopped(id), '0');
    assert.equal(await daemon.call('rm', id), '');
  });
}

async function removeAll(): Promise<void> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  assert.equal(await daemon.call('rm', ...ids), '');
}

function inParallel<T>(count: number, action: (at: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, at) => action(at)));
}
