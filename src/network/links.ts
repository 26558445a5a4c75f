// Questions and orders to the kernel about its interfaces (rtnetlink), for what a container's start should not spawn `ip`.
//
// 2013: none

import { hasCode } from '../linux/libc.js';
import { netlinkRequest, NETLINK_ROUTE } from '../linux/netlink.js';
import { attribute, nativeUint32, readAttributes, readNativeUint32 } from '../linux/netlink-attributes.js';

export const RTM_GETLINK = 18;
export const RTM_SETLINK = 19;
/** The family of what a bridge knows of its ports. */
export const AF_BRIDGE = 7;
/** Of struct ifinfomsg, which has the family at 0: its size, and where the index of the interface is. */
export const LINK_HEADER_BYTES = 16;
const LINK_INDEX = 4;
const AF_UNSPEC = 0;
const IFLA_IFNAME = 3;
const IFLA_IFALIAS = 20;

/** A message about interfaces. */
export interface LinkRequest {
  type: number;
  family: number;
  /** of the interface that it is about; 0 where the attributes say that */
  index?: number;
  flags?: number;
  attributes?: readonly Buffer[];
  /** for the error's message */
  purpose: string;
}

/** Sends it. Returns the bodies of the messages that answer. */
export function linkRequest({ type, family, index = 0, flags = 0, attributes = [], purpose }: LinkRequest): Buffer[] {
  const header = Buffer.alloc(LINK_HEADER_BYTES);
  header[0] = family;
  header.set(nativeUint32(index), LINK_INDEX);
  return netlinkRequest({
    protocol: NETLINK_ROUTE,
    type,
    flags,
    body: Buffer.concat([header, ...attributes]),
    purpose,
  });
}

/** The kernel's number of an interface; undefined where there is none of that name. */
export function linkIndex(name: string): number | undefined {
  const attributes = [attribute(IFLA_IFNAME, Buffer.from(`${name}\0`))];
  const purpose = `find the interface '${name}'`;
  try {
    const [link] = linkRequest({ type: RTM_GETLINK, family: AF_UNSPEC, attributes, purpose });
    return link && readNativeUint32(link, LINK_INDEX);
  } catch (error) {
    if (hasCode(error, 'ENODEV')) return undefined;
    throw error;
  }
}

/** The name of an interface, by the kernel's number of it, and what was noted on it; undefined where there is none. */
export function findLink(index: number | undefined): { name: string; alias: string } | undefined {
  if (index === undefined) return undefined;
  try {
    const purpose = `find the interface ${index}`;
    const [link] = linkRequest({ type: RTM_GETLINK, family: AF_UNSPEC, index, purpose });
    if (link === undefined) return undefined;
    const attributes = readAttributes(link, LINK_HEADER_BYTES);
    const read = (type: number): string => attributes.get(type)?.toString('utf8').replace(/\0.*/s, '') ?? '';
    return { name: read(IFLA_IFNAME), alias: read(IFLA_IFALIAS) };
  } catch (error) {
    if (hasCode(error, 'ENODEV')) return undefined;
    throw error;
  }
}
