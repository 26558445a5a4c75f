// Who is welcome, of all that a machine can say about a caller. The machine itself is asked in test/server/callers.daemon.test.ts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { refusalOf, type Caller, type Ends, type Machine } from '../../src/rcli/callers.js';

const LOOPBACK: Ends = { remoteAddress: '127.0.0.1', remotePort: 5, localAddress: '127.0.0.1', localPort: 4242 };
const REMOTE: Ends = { remoteAddress: '192.0.2.7', remotePort: 5, localAddress: '192.0.2.1', localPort: 4242 };
const OWN: Ends = { ...REMOTE, remoteAddress: '192.0.2.1' };
const BRIDGE: Ends = { ...REMOTE, remoteAddress: '172.17.0.2', localAddress: '172.17.0.1' };

const text = ({ bytes }: { bytes: Buffer }): string => [...bytes].join('.');

function refusal(ends: Ends, caller?: Partial<Caller>, changes: Partial<Machine> = {}): string {
  const machine: Machine = {
    callerOf: () => caller && { uid: 0, isContained: false, ...caller },
    isOwnAddress: (address) => ['192.0.2.1', '172.17.0.1'].includes(text(address)),
    isContainerAddress: (address) => text(address).startsWith('172.17.'),
    mayCall: (uid) => uid === 0 || uid === 1,
    nameOf: (uid) => (uid === 3 ? 'eve' : undefined),
    ...changes,
  };
  return refusalOf(ends, machine) ?? 'welcome';
}

test('refusalOf() welcomes on loopback who may call', () => {
  assert.equal(refusal(LOOPBACK, { uid: 0 }), 'welcome');
  assert.equal(refusal(LOOPBACK, { uid: 1 }), 'welcome');
  const ipv6 = { remoteAddress: '::1', remotePort: 1, localAddress: '::1', localPort: 2 };
  assert.equal(refusal(ipv6, { uid: 1 }), 'welcome');
});

test('refusalOf() says in one line who is refused and how to mend it', () => {
  assert.equal(
    refusal(LOOPBACK, { uid: 3 }),
    'Cannot take a call from eve (uid 3): call as root, or as a member of the group tsdock (groupadd -f tsdock; usermod -aG tsdock eve)',
  );
  assert.equal(
    refusal(LOOPBACK, { uid: 2 }),
    'Cannot take a call from uid 2: call as root, or as a member of the group tsdock',
  );
});

test('refusalOf() refuses whoever cannot be found on this machine', () => {
  for (const ends of [
    LOOPBACK,
    OWN,
    { ...LOOPBACK, remoteAddress: '::1', localAddress: '::1' },
    { ...LOOPBACK, remoteAddress: '::ffff:127.0.0.1', localAddress: '::ffff:127.0.0.1' },
    { ...LOOPBACK, remoteAddress: '192.0.2.7' }, // to an address that nobody else can reach
    { ...LOOPBACK, remoteAddress: undefined }, // the connection broke
    { ...LOOPBACK, remotePort: undefined },
    { ...REMOTE, remoteAddress: undefined },
    { ...REMOTE, localAddress: undefined },
    {},
  ]) {
    assert.match(refusal(ends), /^Cannot take a call whose process cannot be found: /, JSON.stringify(ends));
  }
});

test('refusalOf() welcomes a remote caller, and judges one that is on this machine by its uid, whatever its address', () => {
  assert.equal(refusal(REMOTE), 'welcome');
  assert.match(refusal(REMOTE, { uid: 2 }), /from uid 2/);
  assert.match(refusal(OWN, { uid: 2 }), /from uid 2/);
  assert.equal(refusal(OWN, { uid: 0 }), 'welcome');
});

test('refusalOf() refuses containers, also their root', () => {
  assert.match(refusal(BRIDGE), /from a container/);
  assert.match(refusal(BRIDGE, { uid: 0 }), /from a container/);
  assert.match(refusal({ ...BRIDGE, localAddress: '192.0.2.1' }), /from a container/, 'to another address of the host');
  assert.match(refusal(LOOPBACK, { uid: 0, isContained: true }), /from a container/, 'in the network of the host');
  assert.equal(
    refusal({ ...BRIDGE, remoteAddress: '172.17.0.1' }, { uid: 0 }),
    'welcome',
    'the host, by its address there',
  );
});
