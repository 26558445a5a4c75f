// The kernel's records of UDP connections over IPv4, read and deleted one by one, in the form that ctnetlink gives them.
//
// `conntrack.ts` decides which. Each has a tuple of addresses and ports for either direction; where they do not mirror each
// other, the kernel translates. The numbers in tuples are in the byte order of the network.
//
// 2013: none

import { hasCode } from '../linux/libc.js';
import { NETLINK_NETFILTER, netlinkParts, netlinkRequest, NLM_F_DUMP } from '../linux/netlink.js';
import { attribute, nativeUint32, readAttributes } from '../linux/netlink-attributes.js';

/** One direction of a connection; undefined is what its kind has not. */
export interface Tuple {
  source: number | undefined;
  sourcePort: number | undefined;
  destination: number | undefined;
  destinationPort: number | undefined;
}

/** A connection. */
export interface UdpRecord {
  /** as the client sends it */
  original: Tuple;
  /** as whom it reaches answers it */
  reply: Tuple;
  /** as the kernel tells it */
  attributes: ReadonlyMap<number, Buffer>;
}

const UDP = 17;
/** struct nfgenmsg: AF_INET, and nothing else. */
const HEADER = Buffer.of(2, 0, 0, 0);
/** Messages of the subsystem 1, NFNL_SUBSYS_CTNETLINK. */
const IPCTNL_MSG_CT_GET = 0x101;
const IPCTNL_MSG_CT_DELETE = 0x102;
const CTA_TUPLE_ORIG = 1;
const CTA_TUPLE_REPLY = 2;
const CTA_ID = 12;
const CTA_ZONE = 18;
const CTA_FILTER = 25;
/** In a tuple: the addresses of its packets, and their protocol and ports. */
const CTA_TUPLE_IP = 1;
const CTA_TUPLE_PROTO = 2;
const CTA_IP_V4_SRC = 1;
const CTA_IP_V4_DST = 2;
const CTA_PROTO_NUM = 1;
const CTA_PROTO_SRC_PORT = 2;
const CTA_PROTO_DST_PORT = 3;
/** In a filter: which parts of either tuple must be as in the request, by bits. */
const CTA_FILTER_ORIG_FLAGS = 1;
const CTA_FILTER_REPLY_FLAGS = 2;
const BY_SOURCE = 0x01;
const BY_PROTOCOL = 0x08;
const BY_DESTINATION_PORT = 0x20;

/** For `udpRecords`: the connections whose replies come from an address. */
export function repliesFrom(address: number): Buffer[] {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(address);
  const tuple = [attribute(CTA_TUPLE_IP, [attribute(CTA_IP_V4_SRC, bytes)]), attribute(CTA_TUPLE_PROTO, [protocol()])];
  return [attribute(CTA_TUPLE_REPLY, tuple), partsThatCount(CTA_FILTER_REPLY_FLAGS, BY_SOURCE)];
}

/** For `udpRecords`: the connections whose client sends to a port. */
export function sentToPort(port: number): Buffer[] {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(port);
  const tuple = [attribute(CTA_TUPLE_PROTO, [protocol(), attribute(CTA_PROTO_DST_PORT, bytes)])];
  return [attribute(CTA_TUPLE_ORIG, tuple), partsThatCount(CTA_FILTER_ORIG_FLAGS, BY_DESTINATION_PORT)];
}

/**
 * The UDP connections on record, part by part; none where the kernel keeps no records. `filter` spares the kernel telling of
 * others, but one before 5.8 does not know it: the caller looks at each again.
 */
export async function* udpRecords(filter: readonly Buffer[]): AsyncGenerator<UdpRecord[], void, undefined> {
  const body = Buffer.concat([HEADER, ...filter]);
  const message = { protocol: NETLINK_NETFILTER, type: IPCTNL_MSG_CT_GET, flags: NLM_F_DUMP, body };
  const parts = netlinkParts({ ...message, purpose: 'list UDP connections' });
  try {
    for await (const part of parts) yield part.flatMap(readUdpRecord);
  } catch (error) {
    // The kernel has no netlink for its packet filter, or none of its subsystem for connections.
    if (!hasCode(error, 'EPROTONOSUPPORT', 'EINVAL')) throw error;
  }
}

/** Deletes a record. False where it has gone meanwhile. */
export function forgetRecord({ attributes }: UdpRecord): boolean {
  // With the id, too: by now another connection may have the same addresses and ports.
  const parts = [CTA_TUPLE_ORIG, CTA_ZONE, CTA_ID].flatMap((type) => {
    const value = attributes.get(type);
    return value === undefined ? [] : [attribute(type, type === CTA_TUPLE_ORIG ? [value] : value)];
  });
  const body = Buffer.concat([HEADER, ...parts]);
  const message = { protocol: NETLINK_NETFILTER, type: IPCTNL_MSG_CT_DELETE, body };
  try {
    netlinkRequest({ ...message, purpose: 'forget a UDP connection' });
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function protocol(): Buffer {
  return attribute(CTA_PROTO_NUM, Buffer.of(UDP));
}

function partsThatCount(type: number, flags: number): Buffer {
  return attribute(CTA_FILTER, [attribute(type, nativeUint32(flags | BY_PROTOCOL))]);
}

/** None, where it is of another protocol. */
function readUdpRecord(message: Buffer): UdpRecord[] {
  const attributes = readAttributes(message, HEADER.length);
  const original = readNested(attributes.get(CTA_TUPLE_ORIG));
  if (readNested(original.get(CTA_TUPLE_PROTO)).get(CTA_PROTO_NUM)?.[0] !== UDP) return [];
  const reply = readNested(attributes.get(CTA_TUPLE_REPLY));
  return [{ original: readTuple(original), reply: readTuple(reply), attributes }];
}

function readTuple(tuple: ReadonlyMap<number, Buffer>): Tuple {
  const addresses = readNested(tuple.get(CTA_TUPLE_IP));
  const ports = readNested(tuple.get(CTA_TUPLE_PROTO));
  return {
    source: addresses.get(CTA_IP_V4_SRC)?.readUInt32BE(),
    sourcePort: ports.get(CTA_PROTO_SRC_PORT)?.readUInt16BE(),
    destination: addresses.get(CTA_IP_V4_DST)?.readUInt32BE(),
    destinationPort: ports.get(CTA_PROTO_DST_PORT)?.readUInt16BE(),
  };
}

function readNested(bytes: Buffer | undefined): Map<number, Buffer> {
  return bytes === undefined ? new Map<number, Buffer>() : readAttributes(bytes);
}
