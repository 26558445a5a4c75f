// The interface of one container on the bridge, for one run: its address and its published ports.
//
// A copy lies in the container's folder, written before anything runs with it: a daemon that comes after one that was
// killed, in whatever moment, finds there what is in use. Of a container that does not run it means nothing.
//
// 2013: network.go, NetworkInterface

import type { GoValue } from '../util/go-json.js';
import { isBridgeName } from './bridge.js';
import { formatIpv4, macOf, parseCidr, parseIpv4, type Cidr } from './ipv4.js';
import { formatPortSpec, parsePortSpec, type PortBinding } from './port-spec.js';

/** See the head of the file. */
export interface NetworkInterface {
  /** the name of the bridge */
  bridge: string;
  /** its own, with the prefix length of the bridge's network */
  address: Cidr;
  /** the bridge's address: the default route */
  gateway: number;
  ports: readonly PortBinding[];
}

/** The hardware address of the interface. */
export function hardwareAddress({ address }: NetworkInterface): string {
  return macOf(address.address);
}

/** As in the container's folder. */
export function interfaceToJSON({ bridge, address, gateway, ports }: NetworkInterface): GoValue {
  return {
    Bridge: bridge,
    IpAddress: formatIpv4(address.address),
    IpPrefixLen: address.prefixLength,
    Gateway: formatIpv4(gateway),
    Ports: ports.map(formatPortSpec),
  };
}

/** What a container's folder holds. Throws where it is no such thing. */
export function interfaceFromJSON(json: Readonly<Record<string, unknown>>): NetworkInterface {
  const { Bridge: bridge, IpAddress, IpPrefixLen, Gateway, Ports } = json;
  const address = parseCidr(`${String(IpAddress)}/${String(IpPrefixLen)}`);
  const gateway = parseIpv4(String(Gateway));
  if (
    typeof bridge !== 'string' ||
    !isBridgeName(bridge) ||
    address === undefined ||
    gateway === undefined ||
    !Array.isArray(Ports)
  ) {
    throw new Error('Cannot read the network of a container: no bridge, address, gateway and ports');
  }
  const ports = Ports.map((text) => parsePortSpec(String(text)));
  if (ports.some(({ publicPort }) => publicPort === 0))
    throw new Error('Cannot read the network of a container: no public port');
  return { bridge, address, gateway, ports };
}
