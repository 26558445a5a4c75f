// Letting a container reach its own published port by an address of the host.
//
// Where the kernel lets bridged packets pass the packet filter (br_netfilter, which Docker loads), such a packet is sent
// back to the container while it is still in the bridge: out of the port that it came in by, which a bridge does only
// in what it calls hairpin mode.
//
// 2013: none

import { hasCode } from '../linux/libc.js';
import { attribute } from '../linux/netlink-attributes.js';
import { AF_BRIDGE, linkIndex, linkRequest, RTM_SETLINK } from './links.js';

const IFLA_PROTINFO = 12;
const IFLA_BRPORT_MODE = 4;

/** Switches hairpin mode on for a port of a bridge. False where there is no such interface, or it is on no bridge. */
export function allowHairpin(hostInterface: string): boolean {
  const index = linkIndex(hostInterface);
  if (index === undefined) return false;
  const attributes = [attribute(IFLA_PROTINFO, [attribute(IFLA_BRPORT_MODE, Buffer.of(1))])];
  const purpose = `switch on the hairpin mode of '${hostInterface}'`;
  try {
    linkRequest({ type: RTM_SETLINK, family: AF_BRIDGE, index, attributes, purpose });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENODEV', 'EINVAL')) return false; // gone meanwhile
    throw error;
  }
}
