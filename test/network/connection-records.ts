// Connections on the record of the kernel (conntrack) in this network namespace: any number, made without a packet, and
// how many there are. Called by tests through `callInside`.

import { attribute } from '../../src/linux/netlink-attributes.js';
import * as netlink from '../../src/linux/netlink.js';
import { parseIpv4 } from '../../src/network/ipv4.js';

/** A flag of a request: make it, and fail where it is there. */
const NLM_F_CREATE_NEW = 0x600;

const CT_NEW = 0x100;
const CT_GET = 0x101;
const IPV4_HEADER = Buffer.of(2, 0, 0, 0);
const TIMEOUT_SECONDS = 600;

/** What `makeRecords` makes. */
export interface Records {
  count: number;
  /** of IP: 17 is UDP */
  protocol: number;
  /** 192.0.2.1 unless told otherwise */
  client?: string;
  /** whom the client sends to */
  destination: string;
  /** whom it reaches */
  target: string;
}

/** Each has a port of its own on the client's side, and 5000 on the other. Returns how many it made. */
export function makeRecords({ count, protocol, client = '192.0.2.1', destination, target }: Records): number {
  for (let port = 1024; port < 1024 + count; port++) {
    const body = Buffer.concat([
      IPV4_HEADER,
      tuple(1, protocol, client, destination, port, 5000),
      tuple(2, protocol, target, client, 5000, port),
      attribute(7, uint32(TIMEOUT_SECONDS)),
      // Of TCP: established.
      ...(protocol === 6 ? [attribute(4, [attribute(1, [attribute(1, Buffer.of(3))])])] : []),
    ]);
    netlink.netlinkRequest({
      protocol: netlink.NETLINK_NETFILTER,
      type: CT_NEW,
      flags: NLM_F_CREATE_NEW,
      body,
      purpose: 'make a record',
    });
  }
  return count;
}

/** How many records there are, in how many parts they were told, and how often other work had its turn meanwhile. */
export async function countRecords(): Promise<{ records: number; parts: number; turns: number }> {
  const counts = { records: 0, parts: 0, turns: 0 };
  const count = (): void => {
    counts.turns++;
    turn = setImmediate(count);
  };
  let turn = setImmediate(count);
  for await (const part of netlink.netlinkParts(listRequest())) {
    counts.records += part.length;
    counts.parts++;
  }
  clearImmediate(turn);
  return counts;
}

/** The same number, asked for in one go. */
export function countRecordsAtOnce(): number {
  return netlink.netlinkRequest(listRequest()).length;
}

function listRequest(): netlink.NetlinkRequest {
  const message = { protocol: netlink.NETLINK_NETFILTER, type: CT_GET, flags: netlink.NLM_F_DUMP };
  return { ...message, body: IPV4_HEADER, purpose: 'list all records' };
}

function tuple(type: number, protocol: number, source: string, destination: string, from: number, to: number): Buffer {
  const [sourceBytes, destinationBytes] = [source, destination].map((address) => uint32(parseIpv4(address) ?? 0));
  return attribute(type, [
    attribute(1, [attribute(1, sourceBytes ?? []), attribute(2, destinationBytes ?? [])]),
    attribute(2, [attribute(1, Buffer.of(protocol)), attribute(2, uint16(from)), attribute(3, uint16(to))]),
  ]);
}

function uint32(value: number): Buffer {
  return Buffer.of(value >>> 24, value >>> 16, value >>> 8, value);
}

function uint16(value: number): Buffer {
  return Buffer.of(value >>> 8, value);
}
