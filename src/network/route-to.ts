// Where this machine would send a packet: to itself, or by which interface. The kernel decides, with all its rules and tables,
// also for addresses that no list of interfaces shows.
//
// 2013: none

import { hasCode } from '../linux/libc.js';
import { attribute, nativeUint32, readAttributes, readNativeUint32 } from '../linux/netlink-attributes.js';
import { netlinkRequest, NETLINK_ROUTE } from '../linux/netlink.js';
import type { IpAddress } from '../util/ip-address.js';
import { linkIndex } from './links.js';

/** The way to an address. */
export interface Route {
  /** the address is one of this machine's own */
  isLocal: boolean;
  /** the kernel's number of the interface that leads there */
  interface: number | undefined;
}

const RTM_GETROUTE = 26;
const AF_INET = 2;
const AF_INET6 = 10;
/** struct rtmsg: the family at 0, the length of the destination's prefix in bits, and the type of the route. */
const HEADER_BYTES = 12;
const PREFIX_AT = 1;
const TYPE_AT = 7;
const RTN_LOCAL = 2;
const RTA_DST = 1;
const RTA_OIF = 4;

/** The way to `address`; undefined where there is none. Blocks, for some 30 µs. */
export function routeTo({ bytes, zone }: IpAddress): Route | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  header[0] = bytes.length === 4 ? AF_INET : AF_INET6;
  header[PREFIX_AT] = bytes.length * 8;
  const zoneIndex = zone === '' ? undefined : linkIndex(zone);
  const attributes = [
    attribute(RTA_DST, bytes),
    ...(zoneIndex === undefined ? [] : [attribute(RTA_OIF, nativeUint32(zoneIndex))]),
  ];
  try {
    const body = Buffer.concat([header, ...attributes]);
    const [route] = netlinkRequest({
      protocol: NETLINK_ROUTE,
      type: RTM_GETROUTE,
      body,
      purpose: 'find the way to a caller',
    });
    if (route === undefined) return undefined;
    const index = readAttributes(route, HEADER_BYTES).get(RTA_OIF);
    return { isLocal: route[TYPE_AT] === RTN_LOCAL, interface: index && readNativeUint32(index) };
  } catch (error) {
    // No route, or one that says that there is none.
    if (hasCode(error, 'ENETUNREACH', 'EHOSTUNREACH', 'EACCES', 'EINVAL')) return undefined;
    throw error;
  }
}
