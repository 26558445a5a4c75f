import test from 'node:test';
import assert from 'node:assert/strict';
import {
  formatCidr,
  formatIpv4,
  macOf,
  networkRange,
  networkSize,
  overlaps,
  parseCidr,
  parseIpv4,
  type Cidr,
} from '../../src/network/ipv4.js';

const cidr = (text: string): Cidr => parseCidr(text) ?? assert.fail(`${text} is no network`);

test('parseIpv4() and formatIpv4() are each other’s inverse (2013: TestConversion)', () => {
  for (const text of ['0.0.0.0', '127.0.0.1', '172.17.0.1', '192.168.255.254', '255.255.255.255']) {
    assert.equal(formatIpv4(parseIpv4(text) ?? assert.fail(text)), text);
  }
  assert.equal(parseIpv4('1.2.3.4'), 0x01020304);
});

test('parseIpv4() takes nothing else for an address', () => {
  for (const text of ['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '01.2.3.4', '1.2.3.-4', ' 1.2.3.4', '1.2.3.4\n', '::1']) {
    assert.equal(parseIpv4(text), undefined, JSON.stringify(text));
  }
});

test('networkRange() goes from the network’s own address to that of broadcasts (2013: TestNetworkRange)', () => {
  const ranges: [string, string, string, number][] = [
    ['192.168.0.1/24', '192.168.0.0', '192.168.0.255', 256],
    ['10.0.0.1/8', '10.0.0.0', '10.255.255.255', 16_777_216],
    ['10.1.2.3/30', '10.1.2.0', '10.1.2.3', 4],
    ['10.1.2.3/32', '10.1.2.3', '10.1.2.3', 1],
    ['255.255.255.255/1', '128.0.0.0', '255.255.255.255', 2 ** 31],
    ['1.2.3.4/0', '0.0.0.0', '255.255.255.255', 2 ** 32],
  ];
  for (const [text, first, last, size] of ranges) {
    const range = networkRange(cidr(text));
    assert.deepEqual([formatIpv4(range.first), formatIpv4(range.last)], [first, last], text);
    assert.equal(networkSize(cidr(text).prefixLength), size);
    assert.equal(formatCidr(cidr(text)), text);
  }
});

test('parseCidr() takes nothing else for a network', () => {
  for (const text of ['1.2.3.4', '1.2.3.4/33', '1.2.3.4/', '/8', '1.2.3/8', '1.2.3.4/8x', 'undefined']) {
    assert.equal(parseCidr(text), undefined, text);
  }
});

test('overlaps() is true for networks that share an address', () => {
  const pairs: [string, string, boolean][] = [
    ['172.17.0.1/16', '172.17.200.0/24', true],
    ['172.17.0.1/16', '172.18.0.1/16', false],
    ['10.0.0.0/8', '10.255.255.255/32', true],
    ['0.0.0.0/0', '192.168.0.0/16', true],
    ['192.168.0.0/25', '192.168.0.128/25', false],
  ];
  for (const [one, other, expected] of pairs) {
    assert.equal(overlaps(cidr(one), cidr(other)), expected, `${one} and ${other}`);
    assert.equal(overlaps(cidr(other), cidr(one)), expected, `${other} and ${one}`);
  }
});

test('macOf() is a locally administered address that holds all of the IPv4 address', () => {
  assert.equal(macOf(parseIpv4('172.17.0.254') ?? 0), '02:42:ac:11:00:fe');
});
