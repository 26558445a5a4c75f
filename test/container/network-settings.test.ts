import test from 'node:test';
import assert from 'node:assert/strict';
import { formatNetworkMode, parseNetworkMode } from '../../src/container/network-mode.js';
import { networkSettingsToJSON } from '../../src/container/network-settings.js';
import { interfaceFromJSON, interfaceToJSON, type NetworkInterface } from '../../src/network/network-interface.js';
import { parseCidr, parseIpv4 } from '../../src/network/ipv4.js';
import { parsePortSpec } from '../../src/network/port-spec.js';
import { goMarshal } from '../../src/util/go-json.js';

const given = (...ports: string[]): NetworkInterface => ({
  bridge: 'tsdock0',
  address: parseCidr('172.17.0.2/16') ?? assert.fail(),
  gateway: parseIpv4('172.17.0.1') ?? assert.fail(),
  ports: ports.map(parsePortSpec),
});

test('networkSettingsToJSON() has the keys of March in their order, and ends with the ports as the texts that they were', () => {
  assert.equal(
    goMarshal(networkSettingsToJSON(given('49153:9', '49154:80', '8080:443'))),
    '{"IpAddress":"172.17.0.2","IpPrefixLen":16,"Gateway":"172.17.0.1","Bridge":"tsdock0","MacAddress":"02:42:ac:11:00:02",' +
      '"PortBindings":["49153:9","49154:80","8080:443"],"PortMapping":{"443":"8080","80":"49154","9":"49153"}}',
  );
  assert.match(goMarshal(networkSettingsToJSON(given())), /"PortMapping":\{\}\}$/);
});

test('networkSettingsToJSON() of a container that does not run says nothing', () => {
  assert.equal(
    goMarshal(networkSettingsToJSON(undefined)),
    '{"IpAddress":"","IpPrefixLen":0,"Gateway":"","Bridge":"","MacAddress":"","PortBindings":null,"PortMapping":null}',
  );
});

test('networkSettingsToJSON() gives a private port with several public ones the first of TCP', () => {
  const json = networkSettingsToJSON(given('127.0.0.1:53:53/udp', '5301:53', '5302:53'));
  assert.match(
    goMarshal(json),
    /"PortBindings":\["127.0.0.1:53:53\/udp","5301:53","5302:53"\],"PortMapping":\{"53":"5301"\}/,
  );
});

test('interfaceFromJSON() reads what interfaceToJSON() wrote, and throws for anything else', () => {
  const original = given('127.0.0.1:8080:80', '53:53/udp');
  const json = JSON.parse(goMarshal(interfaceToJSON(original))) as Record<string, unknown>;
  assert.deepEqual(interfaceFromJSON(json), original);
  for (const change of [{ Bridge: 5 }, { IpAddress: '1.2.3' }, { IpPrefixLen: 33 }, { Gateway: '' }, { Ports: null }]) {
    assert.throws(() => interfaceFromJSON({ ...json, ...change }), /^Error: Cannot read the network of a container/);
  }
  assert.throws(() => interfaceFromJSON({ ...json, Ports: ['x'] }), /^Error: Invalid port: x$/);
});

test('parseNetworkMode() takes four forms, and formatNetworkMode() writes them', () => {
  for (const text of ['', 'bridge', 'none', 'host', 'container:3b496f5e']) {
    assert.equal(formatNetworkMode(parseNetworkMode(text)), text);
  }
  for (const text of ['Bridge', 'container:', 'container', 'container:a b', 'container:../x', 'hostile', 'none\n']) {
    assert.throws(() => parseNetworkMode(text), /^Error: Invalid network mode: /, text);
  }
});
