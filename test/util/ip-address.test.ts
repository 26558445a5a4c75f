import assert from 'node:assert/strict';
import test from 'node:test';
import { isLoopback, isSameAddress, parseIpAddress } from '../../src/util/ip-address.js';

const hex = (text: string): string | undefined => parseIpAddress(text)?.bytes.toString('hex');

test('parseIpAddress() reads the usual forms', () => {
  assert.equal(hex('127.0.0.1'), '7f000001');
  assert.equal(hex('::1'), '00000000000000000000000000000001');
  assert.equal(hex('::'), '0'.repeat(32));
  assert.equal(hex('2001:db8::a:b'), '20010db8000000000000000000' + '0a000b');
  assert.equal(hex('2001:DB8:1:2:3:4:5:6'), '20010db8000100020003000400050006');
  assert.equal(hex('fe80::'), 'fe80' + '0'.repeat(28));
  assert.equal(hex('64:ff9b::192.0.2.33'), '0064ff9b0000000000000000c0000221');
  assert.deepEqual(parseIpAddress('fe80::1%eth0')?.zone, 'eth0');
});

test('parseIpAddress() takes an IPv4 address in the form of IPv6 for what it stands for', () => {
  for (const text of ['::ffff:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:127.0.0.1'])
    assert.equal(hex(text), '7f000001');
  assert.equal(hex('::127.0.0.1')?.length, 32, 'another form, which stands for nothing');
});

test('parseIpAddress() knows no name, and no number that only some take for an address', () => {
  for (const text of ['', 'localhost', '127.1', '2130706433', '0x7f.0.0.1', '127.0.0.01', '[::1]', '1:2', '::1::']) {
    assert.equal(parseIpAddress(text), undefined, text);
  }
});

test('isLoopback() is true for 127.0.0.0/8 and ::1 alone', () => {
  const is = (text: string): boolean | undefined => {
    const address = parseIpAddress(text);
    return address && isLoopback(address);
  };
  for (const text of ['127.0.0.1', '127.255.0.3', '::1', '::ffff:127.0.0.9']) assert.equal(is(text), true, text);
  for (const text of ['0.0.0.0', '::', '126.0.0.1', '128.0.0.1', '10.127.0.1', '::2', 'fe80::1', '7f00::1'])
    assert.equal(is(text), false, text);
});

test('isSameAddress() looks at bytes and zone', () => {
  const same = (one: string, other: string): boolean => {
    const [a, b] = [parseIpAddress(one), parseIpAddress(other)];
    assert.ok(a && b);
    return isSameAddress(a, b);
  };
  assert.ok(same('::1', '0:0:0:0:0:0:0:1'));
  assert.ok(same('::ffff:10.0.0.1', '10.0.0.1'));
  assert.ok(!same('fe80::1%a', 'fe80::1%b'));
  assert.ok(!same('10.0.0.1', '10.0.0.2'));
});
