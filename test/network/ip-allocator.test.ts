import test from 'node:test';
import assert from 'node:assert/strict';
import { IPAllocator } from '../../src/network/ip-allocator.js';
import { formatIpv4, parseCidr, parseIpv4 } from '../../src/network/ipv4.js';

const allocator = (bridge: string): IPAllocator => new IPAllocator(parseCidr(bridge) ?? assert.fail(bridge));
const acquired = (from: IPAllocator, count: number): string[] =>
  Array.from({ length: count }, () => formatIpv4(from.acquire()));

test('IPAllocator.acquire() gives every address but those of the network, the bridge and broadcasts (2013: TestIPAllocator)', () => {
  const addresses = allocator('10.1.2.3/29');
  assert.deepEqual(acquired(addresses, 5), ['10.1.2.4', '10.1.2.5', '10.1.2.6', '10.1.2.1', '10.1.2.2']);
  assert.throws(
    () => addresses.acquire(),
    /^Error: Cannot give the container an address: all of 10\.1\.2\.3\/29 are in use$/,
  );
});

test('IPAllocator.acquire() gives an address that came back when all others had their turn', () => {
  const addresses = allocator('10.1.2.1/29');
  const [first = ''] = acquired(addresses, 1);
  addresses.release(parseIpv4(first) ?? 0);
  assert.deepEqual(acquired(addresses, 5), ['10.1.2.3', '10.1.2.4', '10.1.2.5', '10.1.2.6', first]);
});

test('IPAllocator.claim() keeps an address from being given', () => {
  const addresses = allocator('10.1.2.1/30');
  addresses.claim(parseIpv4('10.1.2.2') ?? 0);
  assert.throws(() => addresses.acquire(), /in use/);
  addresses.release(parseIpv4('10.1.2.2') ?? 0);
  assert.deepEqual(acquired(addresses, 1), ['10.1.2.2']);
});

test('IPAllocator.claim() of an address outside of the network takes none in it', () => {
  const addresses = allocator('10.1.2.1/30');
  addresses.claim(parseIpv4('192.168.0.1') ?? 0);
  assert.deepEqual(acquired(addresses, 1), ['10.1.2.2']);
});

test('IPAllocator.acquire() gives all of a large network once', () => {
  const addresses = allocator('10.1.0.1/16');
  assert.equal(new Set(acquired(addresses, 65_533)).size, 65_533);
  assert.throws(() => addresses.acquire(), /in use/);
});
