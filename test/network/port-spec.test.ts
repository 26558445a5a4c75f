import test from 'node:test';
import assert from 'node:assert/strict';
import { formatPortSpec, parsePortSpec } from '../../src/network/port-spec.js';

test('parsePortSpec() reads what people write, and formatPortSpec() writes the shortest form of it', () => {
  const specs: [string, string, number, number, 'tcp' | 'udp', string?][] = [
    ['80', '', 0, 80, 'tcp'],
    ['+80', '', 0, 80, 'tcp', '80'],
    ['53/udp', '', 0, 53, 'udp'],
    ['8080:80', '', 8080, 80, 'tcp'],
    ['8080:80/tcp', '', 8080, 80, 'tcp', '8080:80'],
    ['127.0.0.1:8080:80', '127.0.0.1', 8080, 80, 'tcp'],
    ['127.0.0.1::80', '127.0.0.1', 0, 80, 'tcp'],
    ['192.0.2.7:53:5353/udp', '192.0.2.7', 53, 5353, 'udp'],
    ['0.0.0.0:8080:80', '', 8080, 80, 'tcp', '8080:80'],
    ['1:65535', '', 1, 65_535, 'tcp'],
  ];
  for (const [text, hostAddress, publicPort, privatePort, protocol, shortest = text] of specs) {
    const spec = parsePortSpec(text);
    assert.deepEqual(spec, { hostAddress, publicPort, privatePort, protocol }, text);
    assert.equal(formatPortSpec(spec), shortest);
  }
});

test('parsePortSpec() throws for anything else, in the words of 2013', () => {
  const wrong = [
    '',
    'base',
    '-a',
    '0',
    '65536',
    '1.5',
    '80:',
    ':80',
    '::80',
    ':80:80',
    'x:80',
    '0:80',
    '80:0',
    '1:2:3',
  ];
  wrong.push(
    '256.0.0.1:80:80',
    '224.0.0.1:80:80',
    '255.255.255.255:80:80',
    '[::1]:80:80',
    '80/sctp',
    '80/',
    '80/udp/udp',
    '80 ',
    ' 80',
    '80\n',
    '8000-8010',
    '1:1:1:1',
  );
  for (const text of wrong) {
    assert.throws(() => parsePortSpec(text), new Error(`Invalid port: ${text}`), JSON.stringify(text));
  }
});
