// The network of a container as `inspect` and config.json show it.
//
// 2013: container.go, NetworkSettings

import { hardwareAddress, type NetworkInterface } from '../network/network-interface.js';
import { formatIpv4 } from '../network/ipv4.js';
import { formatPortSpec, type PortBinding } from '../network/port-spec.js';
import type { GoValue } from '../util/go-json.js';

/** Sorts bindings so that the one that stands for its private port comes first: TCP, and of several the first given. */
export function byImportance(a: PortBinding, b: PortBinding): number {
  return Number(a.protocol === 'udp') - Number(b.protocol === 'udp');
}

/** The keys of March 2013 in their order, our own before the last of them. A container that does not run has nothing. */
export function networkSettingsToJSON(network: NetworkInterface | undefined): GoValue {
  if (network === undefined) {
    return {
      IpAddress: '',
      IpPrefixLen: 0,
      Gateway: '',
      Bridge: '',
      MacAddress: '',
      PortBindings: null,
      PortMapping: null,
    };
  }
  const { address, gateway, bridge, ports } = network;
  // A private port has one public port here. Where it has several, or is one of both protocols, PortBindings has them all.
  const last = ports.toSorted(byImportance).reverse();
  return {
    IpAddress: formatIpv4(address.address),
    IpPrefixLen: address.prefixLength,
    Gateway: formatIpv4(gateway),
    Bridge: bridge,
    MacAddress: hardwareAddress(network),
    PortBindings: ports.map(formatPortSpec),
    PortMapping: new Map(last.map(({ privatePort, publicPort }) => [String(privatePort), String(publicPort)])),
  };
}
