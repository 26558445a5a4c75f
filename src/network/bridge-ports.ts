// How many interfaces are joined to a bridge. The kernel has a limit, and says no more of it than EXFULL, to lxc-start.
//
// 2013: none

import { NLM_F_DUMP } from '../linux/netlink.js';
import { nativeUint32, readAttributes } from '../linux/netlink-attributes.js';
import { AF_BRIDGE, LINK_HEADER_BYTES, linkIndex, linkRequest, RTM_GETLINK } from './links.js';

/** How many interfaces a bridge takes: the kernel numbers its ports with 10 bits (BR_MAX_PORTS), and 0 is none. */
export const BRIDGE_PORT_LIMIT = 1023;

const IFLA_MASTER = 10;

/** The number of interfaces that are joined to the bridge now; undefined where there is no such bridge. */
export function countBridgePorts(bridge: string): number | undefined {
  const index = linkIndex(bridge);
  if (index === undefined) return undefined;
  const master = nativeUint32(index);
  // Of this family the kernel tells of interfaces on any bridge, and little of each.
  const purpose = `count the ports of bridge '${bridge}'`;
  const ports = linkRequest({ type: RTM_GETLINK, family: AF_BRIDGE, flags: NLM_F_DUMP, purpose });
  return ports.filter((port) => readAttributes(port, LINK_HEADER_BYTES).get(IFLA_MASTER)?.equals(master)).length;
}
