// The count of a bridge's interfaces, and the kernel's limit.

import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import { BRIDGE_PORT_LIMIT, countBridgePorts } from '../../src/network/bridge-ports.js';
import { callInside } from './call.js';
import { Namespace } from './namespace.js';

const MODULE = new URL('../../src/network/bridge-ports.js', import.meta.url);

async function openNamespace(t: TestContext): Promise<Namespace> {
  const namespace = await Namespace.start();
  t.after(() => namespace.close());
  return namespace;
}

function count(namespace: Namespace, bridge: string): Promise<unknown> {
  return callInside(namespace, MODULE, 'countBridgePorts', bridge);
}

test('countBridgePorts() is 0 for a bridge that nothing is joined to, and undefined where there is none', async (t) => {
  const namespace = await openNamespace(t);
  await namespace.ip('link add nlk0 type bridge');
  assert.equal(await count(namespace, 'nlk0'), 0);
  assert.equal(await count(namespace, 'nlk1'), null);
});

test('countBridgePorts() counts what is joined to this bridge, up or down, and nothing else', async (t) => {
  const namespace = await openNamespace(t);
  await namespace.ip('link add nlk0 type bridge', 'link add nlk1 type bridge');
  for (const [name, bridge] of Object.entries({ a: 'nlk0', b: 'nlk0', c: 'nlk0', d: 'nlk1', e: 'nlk1' })) {
    await namespace.ip(`link add ${name}0 type veth peer name ${name}1`, `link set ${name}0 master ${bridge}`);
  }
  await namespace.ip('link set a0 up', 'link set a1 up', 'link set nlk0 up');
  assert.equal(await count(namespace, 'nlk0'), 3);
  assert.equal(await count(namespace, 'nlk1'), 2);
  await namespace.ip('link set b0 nomaster', 'link delete c0');
  assert.equal(await count(namespace, 'nlk0'), 1);
});

test('countBridgePorts() says of a name that no interface can have what was asked', () => {
  const name = 'longer-than-15-characters';
  assert.throws(() => countBridgePorts(name), {
    name: 'SyscallError',
    message: `netlink (find the interface '${name}'): result too large`,
  });
});

test('BRIDGE_PORT_LIMIT is how many interfaces the kernel joins to a bridge', async (t) => {
  const namespace = await openNamespace(t);
  const pairs = Array.from({ length: BRIDGE_PORT_LIMIT / 2 }, (_, i) => [
    `link add a${i} type veth peer name b${i}`,
    `link set a${i} master nlk0`,
    `link set b${i} master nlk0`,
  ]);
  await namespace.ip(
    'link add nlk0 type bridge',
    ...pairs.flat(),
    'link add last type veth peer name tooMany',
    'link set last master nlk0',
  );
  assert.equal(await count(namespace, 'nlk0'), BRIDGE_PORT_LIMIT);
  await assert.rejects(namespace.ip('link set tooMany master nlk0'), /Exchange full/);
});
