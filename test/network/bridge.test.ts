import test from 'node:test';
import assert from 'node:assert/strict';
import { freeNetwork, isBridgeName } from '../../src/network/bridge.js';
import { formatCidr, parseCidr, type Cidr } from '../../src/network/ipv4.js';

const cidrs = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text) ?? assert.fail(text));

test('freeNetwork() is the first /16 that shares nothing with what is in use', () => {
  assert.equal(formatCidr(freeNetwork([], undefined)), '172.17.0.1/16');
  assert.equal(formatCidr(freeNetwork(cidrs('172.17.3.4/32', '172.18.0.0/15'), undefined)), '172.20.0.1/16');
  assert.equal(formatCidr(freeNetwork(cidrs('172.16.0.0/12', '10.255.0.0/24'), undefined)), '10.254.0.1/16');
});

test('freeNetwork() is the preferred one where that is free', () => {
  const [preferred] = cidrs('192.168.5.1/24');
  assert.equal(freeNetwork([], preferred), preferred);
  assert.equal(formatCidr(freeNetwork(cidrs('192.168.0.0/16'), preferred)), '172.17.0.1/16');
});

test('freeNetwork() says how to go on where nothing is free', () => {
  const all = cidrs('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16');
  assert.throws(() => freeNetwork(all, undefined), /^Error: No private network .* is free: .*--bip$/);
});

test('isBridgeName() takes what is an interface to the kernel and one word to everybody else', () => {
  for (const name of ['tsdock0', 'br-1.2_x', 'a', 'fifteen-letters']) assert.ok(isBridgeName(name), name);
  for (const name of ['', 'sixteen-letters-', '-x', '.', '..', 'a/b', 'a b', 'a\nb', 'a:b', 'a"b', 'é']) {
    assert.ok(!isBridgeName(name), name);
  }
});
