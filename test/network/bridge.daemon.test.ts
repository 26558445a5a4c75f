// The bridge of a daemon and what is set up around it: which one it is, which network it has, what a container reaches by
// it, and where there is none. Each in a network namespace of its own, which plays the machine.

import test from 'node:test';
import assert from 'node:assert/strict';
import { PROGRAM, type TestDaemon } from '../harness.js';
import { addressOf, answers, ask, enterOf, inspect, portOf, refusalOf, run, runServer, speaker } from './containers.js';
import { hasIptables, TestMachine, type Iptables } from './test-machine.js';

/** How many ports the kernel gives a bridge. */
const BRIDGE_PORTS = 1023;
/** Every private network. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'];

/** A test on a machine of its own, which is looked through at the end. */
function onMachine(
  name: string,
  run: (machine: TestMachine) => Promise<void>,
  options: { iptables?: Iptables; skip?: boolean } = {},
): void {
  test(name, { skip: options.skip ?? false }, async () => {
    const machine = await TestMachine.start(options);
    await run(machine);
    await machine.close();
  });
}

/** The IPv4 address of an interface, as ADDRESS/LENGTH. */
async function addressOfLink(machine: TestMachine, name: string): Promise<string> {
  const [, address = ''] = / inet (\S+)/.exec(await machine.exec('ip', '-4', '-o', 'addr', 'show', name)) ?? [];
  return address;
}

/** What a new container hears at port 7000 of an address. */
const heardAt = (daemon: TestDaemon, address: string): Promise<string> =>
  daemon.call('run', '-a', 'base', 'nc', '-w', '2', address, '7000');

onMachine(
  'tsdock -d makes tsdock0 with a /16, and a container reaches the host and the outside by it',
  async (machine) => {
    const { outside, namespace } = await machine.neighbour({ isGateway: true });
    await speaker(namespace, outside, '7000', 'far away');
    await speaker(machine.namespace, '0.0.0.0', '7000', 'the host');
    const daemon = await machine.daemon();
    assert.deepEqual(await machine.links(), ['tsdock0']);
    const bridge = await addressOfLink(machine, 'tsdock0');
    assert.match(bridge, /^172\.17\.\d+\.\d+\/16$/);
    const id = await run(daemon, 'base', 'sleep', '1000');
    const { IpAddress, IpPrefixLen, Gateway } = (await inspect(daemon, id)).NetworkSettings;
    assert.equal(`${Gateway}/${IpPrefixLen}`, bridge);
    assert.match(IpAddress, /^172\.17\./);
    assert.equal(await heardAt(daemon, Gateway), 'the host\n');
    // The neighbour has no route to the bridge: its answer comes back only because the machine put its own address in.
    assert.equal(await heardAt(daemon, outside), 'far away\n');
    await daemon.close();
  },
);

for (const iptables of ['nft', 'legacy'] as const) {
  onMachine(
    `tsdock -d with iptables of ${iptables} publishes ports, and finds its chains again after a restart`,
    async (machine) => {
      const neighbour = await machine.neighbour();
      await machine.exec('iptables', '-P', 'FORWARD', 'DROP'); // as many machines have it
      const daemon = await machine.daemon();
      const id = await runServer(daemon, 'hello', '-p', '80');
      const port = await portOf(daemon, id);
      await answers(neighbour.namespace.enter, neighbour.machineAddress, port, 'hello');
      const chains = await machine.chains();
      assert.ok(chains.length > 8, chains.join('\n'));
      assert.deepEqual(new Set(chains).size, chains.length, 'no line is there twice');
      const saved = await machine.namespace.exec(`xtables-${iptables}-multi`, 'iptables-save');
      assert.ok(
        chains.every((line) => saved.includes(line)),
        'all stand in this back end',
      );
      for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
        await daemon.end(signal);
        assert.deepEqual(await machine.chains(), chains, 'they stay while no daemon runs');
        await answers(neighbour.namespace.enter, neighbour.machineAddress, port, 'hello');
        await daemon.begin();
        assert.deepEqual(await machine.chains(), chains, 'and are the same with the next one');
        await answers(neighbour.namespace.enter, neighbour.machineAddress, port, 'hello');
      }
      await daemon.close();
    },
    { iptables, skip: !hasIptables(iptables) },
  );
}

onMachine('tsdock -d mends chains that somebody emptied or took the jumps to away', async (machine) => {
  const daemon = await machine.daemon();
  const before = await machine.chains();
  await daemon.end();
  await machine.exec('iptables', '-t', 'nat', '-F', 'POSTROUTING');
  await machine.exec('iptables', '-F', 'FORWARD');
  assert.notDeepEqual(await machine.chains(), before);
  await daemon.begin();
  assert.deepEqual(await machine.chains(), before);
  await daemon.close();
});

onMachine('tsdock -d uses its bridge again after a restart, with the address it had', async (machine) => {
  const daemon = await machine.daemon();
  const [address, details] = [
    await addressOfLink(machine, 'tsdock0'),
    await machine.exec('ip', 'link', 'show', 'tsdock0'),
  ];
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await daemon.end(signal);
    await daemon.begin();
    assert.deepEqual(await machine.links(), ['tsdock0']);
    assert.equal(await addressOfLink(machine, 'tsdock0'), address);
    // The same interface still, not one that was made anew.
    assert.equal((await machine.exec('ip', 'link', 'show', 'tsdock0')).split(':')[0], details.split(':')[0]);
  }
  assert.match(await addressOf(daemon, await run(daemon, 'base', 'sleep', '1000')), /^172\.17\./);
  await daemon.close();
});

onMachine('tsdock -d makes its bridge anew, with the address it had, where somebody deleted it', async (machine) => {
  const daemon = await machine.daemon();
  const address = await addressOfLink(machine, 'tsdock0');
  await daemon.end();
  await machine.namespace.ip('link del tsdock0');
  await daemon.begin();
  assert.equal(await addressOfLink(machine, 'tsdock0'), address);
  await speaker(machine.namespace, '0.0.0.0', '7000', 'the host');
  assert.equal(await heardAt(daemon, address.replace(/\/.*/, '')), 'the host\n');
  await daemon.close();
});

onMachine('--bridge NAME uses the bridge of somebody else, and --clean leaves it as it was', async (machine) => {
  await machine.namespace.ip('link add lab0 type bridge', 'addr add 10.88.0.1/24 dev lab0', 'link set lab0 up');
  const daemon = await machine.daemon({ args: ['--bridge', 'lab0'] });
  const id = await run(daemon, 'base', 'sleep', '1000');
  const { IpAddress, IpPrefixLen, Gateway } = (await inspect(daemon, id)).NetworkSettings;
  assert.match(IpAddress, /^10\.88\.0\.\d+$/);
  assert.deepEqual([IpPrefixLen, Gateway], [24, '10.88.0.1']);
  await speaker(machine.namespace, '0.0.0.0', '7000', 'the host');
  assert.equal(await heardAt(daemon, Gateway), 'the host\n');
  await daemon.close();
  assert.deepEqual(await machine.links(), ['lab0']);
  assert.equal(await addressOfLink(machine, 'lab0'), '10.88.0.1/24');
  assert.deepEqual(await machine.chains(), []);
  await machine.namespace.ip('link del lab0');
});

onMachine('--bridge NAME --bip CIDR makes that bridge with that address', async (machine) => {
  const daemon = await machine.daemon({ args: ['--bridge', 'lab1', '--bip', '10.87.3.9/28'] });
  assert.deepEqual(await machine.links(), ['lab1']);
  assert.equal(await addressOfLink(machine, 'lab1'), '10.87.3.9/28');
  const { IpAddress, IpPrefixLen, Gateway } = (await inspect(daemon, await run(daemon, 'base', 'sleep', '1000')))
    .NetworkSettings;
  assert.deepEqual([IpPrefixLen, Gateway], [28, '10.87.3.9']);
  const last = Number(/^10\.87\.3\.(\d+)$/.exec(IpAddress)?.[1]);
  assert.ok(last > 0 && last < 15 && last !== 9, IpAddress);
  await daemon.close();
});

onMachine('--bridge none has no network: run works, publishing is refused', async (machine) => {
  const daemon = await machine.daemon({ args: ['--bridge', 'none'] });
  assert.deepEqual([await machine.links(), await machine.chains()], [[], []]);
  assert.equal(await daemon.call('run', '-a', 'base', 'ls', '/sys/class/net'), 'lo\n');
  assert.match(await daemon.call('run', '-p', '80', 'base', 'true'), /^Error: [^\n]+\n$/);
  assert.equal((await daemon.call('ps', '-a', '-q')).split('\n').length, 2, 'nothing half-made stays');
  await daemon.close();
});

onMachine('tsdock -d takes a network that no address and no route of the machine lies in', async (machine) => {
  await machine.namespace.ip(
    'link add other type bridge',
    'addr add 172.17.200.1/24 dev other',
    'link set other up',
    'route add 172.18.0.0/16 dev other',
    'route add 172.19.77.0/24 dev other',
    'route add 172.20.0.0/14 dev other',
    'route add blackhole 172.24.1.1/32',
    'route add default dev other', // leads everywhere, and takes nothing
  );
  const daemon = await machine.daemon();
  assert.match(await addressOfLink(machine, 'tsdock0'), /^172\.25\.\d+\.\d+\/16$/);
  await daemon.close();
  await machine.namespace.ip('link del other');
});

onMachine('tsdock -d without a free network starts, says why, and run works without one', async (machine) => {
  await machine.namespace.ip('link add other type bridge', 'link set other up');
  await machine.namespace.ip(...PRIVATE.map((network) => `route add ${network} dev other`));
  const daemon = await machine.daemon();
  assert.match(daemon.log, /without a network|no network/i);
  assert.match(daemon.log, /network .*free/i);
  assert.deepEqual([await machine.links(), await machine.chains()], [['other'], []]);
  assert.equal(await daemon.call('run', '-a', 'base', 'ls', '/sys/class/net'), 'lo\n');
  await daemon.close();
  await machine.namespace.ip('link del other');
});

onMachine(
  'tsdock -d without iptables starts, says why, and run works without a network',
  async (machine) => {
    const daemon = await machine.daemon();
    assert.match(daemon.log, /iptables[^\n]* not installed/);
    assert.deepEqual(await machine.links(), []);
    assert.equal(await daemon.call('run', '-a', 'base', 'ls', '/sys/class/net'), 'lo\n');
    await daemon.close();
  },
  { iptables: 'none' },
);

/** The command that starts another daemon there. */
const another = (machine: TestMachine, daemon: TestDaemon): string[] => {
  const directory = `${daemon.directory}/another`;
  return [...machine.enter, process.execPath, PROGRAM, '-d', '-H', '127.0.0.1:0', '--http', 'off', '-g', directory];
};

onMachine('tsdock -d refuses the bridge of another daemon, running or not', async (machine) => {
  const daemon = await machine.daemon();
  const command = [...another(machine, daemon), '--bridge', 'tsdock0'];
  assert.match(await refusalOf(command), /tsdock0.*another daemon/);
  await daemon.end();
  assert.match(await refusalOf(command), /tsdock0.*another daemon/);
  await daemon.close();
});

onMachine(
  'a second daemon on the machine has a bridge and a network of its own, each the same again',
  async (machine) => {
    const [first, second] = [await machine.daemon(), await machine.daemon()];
    const ids = await Promise.all([first, second].map((daemon) => runServer(daemon, 'hello', '-p', '80')));
    const settings = async (): Promise<unknown[]> => [
      (await inspect(first, ids[0] ?? '')).NetworkSettings,
      (await inspect(second, ids[1] ?? '')).NetworkSettings,
    ];
    const before = await settings();
    /** Only what is published is reached from the bridge of another daemon, whichever came first. */
    const checkIsolation = async (): Promise<void> => {
      const ends = [
        { daemon: first, id: ids[0] ?? '' },
        { daemon: second, id: ids[1] ?? '' },
      ];
      for (const [i, from] of ends.entries()) {
        const to = ends[1 - i] ?? from;
        const enter = await enterOf(from.daemon, from.id);
        const { IpAddress, Gateway } = (await inspect(to.daemon, to.id)).NetworkSettings;
        assert.equal(await ask(enter, IpAddress, 80), '');
        await answers(enter, Gateway, await portOf(to.daemon, to.id), 'hello');
      }
    };
    await checkIsolation();
    assert.deepEqual(
      (await machine.links()).filter((name) => name.startsWith('tsdock')),
      ['tsdock0', 'tsdock1'],
    );
    assert.notEqual(await addressOfLink(machine, 'tsdock0'), await addressOfLink(machine, 'tsdock1'));
    await first.end('SIGKILL');
    await second.end('SIGKILL');
    await second.begin(); // now this one comes first
    await first.begin();
    assert.deepEqual(await settings(), before);
    await checkIsolation();
    for (const [i, daemon] of [first, second].entries()) {
      await answers(machine.enter, '127.0.0.1', await portOf(daemon, ids[i] ?? ''), 'hello');
    }
    await first.close();
    assert.deepEqual(
      (await machine.links()).filter((name) => name.startsWith('tsdock')),
      ['tsdock1'],
    );
    await second.close();
  },
);

onMachine('tsdock -d refuses what is no address, or none for a bridge', async (machine) => {
  const daemon = await machine.daemon();
  const command = [...another(machine, daemon), '--bridge', 'lab2', '--bip'];
  for (const bip of [
    'nonsense',
    '10.0.0.1',
    '10.0.0.1/33',
    '10.0.0.0/24',
    '10.0.0.255/24',
    '10.0.0.1/32',
    '127.0.0.1/8',
    '224.0.0.1/24',
  ]) {
    assert.ok((await refusalOf([...command, bip])).includes(`"${bip}"`), bip);
  }
  assert.deepEqual(await machine.links(), ['tsdock0'], 'and nothing was made');
  await daemon.close();
});

onMachine('tsdock -d refuses what is no name, and an interface that is no bridge', async (machine) => {
  const daemon = await machine.daemon();
  for (const name of ['a b', '..', 'sixteen-letters-', 'a/b', '-x', 'lo', 'up0']) {
    assert.ok((await refusalOf([...another(machine, daemon), `--bridge=${name}`])).includes(`"${name}"`), name);
  }
  assert.deepEqual(await machine.links(), ['tsdock0'], 'and nothing was made');
  await daemon.close();
});

onMachine('run says in one line that the bridge has no port left, and works again with one', async (machine) => {
  const daemon = await machine.daemon();
  // Both ends of each pair on the bridge, down, so that they carry nothing.
  const pairs = Array.from({ length: BRIDGE_PORTS >> 1 }, (_, i) => `link add a${i} group 7 type veth peer name b${i}`);
  const names = ['last', ...pairs.flatMap((_, i) => [`a${i}`, `b${i}`])];
  const joins = names.map((name) => `link set ${name} master tsdock0`);
  await machine.namespace.ip('link add last type veth peer name loose', ...pairs, ...joins);
  const reply = await daemon.call('run', 'base', 'sleep', '1000');
  assert.match(reply, /^Error: [^\n]*tsdock0[^\n]*\n$/);
  assert.match(reply, /1,?023/);
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
  assert.equal((await machine.links()).length, BRIDGE_PORTS + 2, 'no interface is left over');
  await machine.namespace.ip('link del last');
  await run(daemon, 'base', 'sleep', '1000');
  await machine.namespace.ip('link del group 7'); // all in one go, which is much quicker
  await daemon.close();
});

onMachine('tsdock -d turns forwarding on where it is off, and says so', async (machine) => {
  const forwarding = async (): Promise<string> => (await machine.exec('sysctl', '-n', 'net.ipv4.ip_forward')).trim();
  for (const before of ['0', '1']) {
    await machine.exec('sysctl', '-q', `net.ipv4.ip_forward=${before}`);
    const daemon = await machine.daemon();
    assert.equal(await forwarding(), '1');
    assert.equal(/forwarding was off/.test(daemon.log), before === '0', daemon.log);
    await daemon.close();
  }
});
