// IP addresses as bytes, so that two spellings of one address are equal. An IPv6 address that stands for an IPv4 address, as
// a socket of both has it (`::ffff:127.0.0.1`), is that IPv4 address.
//
// 2013: none

import { isIPv4, isIPv6 } from 'node:net';

/** An address. */
export interface IpAddress {
  /** 4, or 16, in the order of the network */
  readonly bytes: Buffer;
  /** the interface of an address that has a meaning on one network alone; empty for others */
  readonly zone: string;
}

/** One end of a connection. */
export interface IpEnd {
  readonly address: IpAddress;
  readonly port: number;
}

const IPV6_BYTES = 16;
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const LOOPBACK_V4 = 127;
const LOOPBACK_V6 = Buffer.from('00000000000000000000000000000001', 'hex');

/** The address that a text writes in a usual form; undefined for what is none, or a name. */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { bytes: v4Bytes(text), zone: '' };
  if (!isIPv6(text)) return undefined;
  const [address = '', zone = ''] = text.split('%');
  // At most one `::` stands for as many zeros as are missing.
  const [head = Buffer.alloc(0), tail = Buffer.alloc(0)] = address.split('::').map(v6Bytes);
  const zeros = Buffer.alloc(IPV6_BYTES - head.length - tail.length);
  const bytes = Buffer.concat([head, zeros, tail]);
  const isMapped = bytes.subarray(0, MAPPED.length).equals(MAPPED);
  return isMapped ? { bytes: bytes.subarray(MAPPED.length), zone: '' } : { bytes, zone };
}

/** Whether it is one that a machine reaches itself by, and nobody else does. */
export function isLoopback({ bytes }: IpAddress): boolean {
  return bytes.length === IPV6_BYTES ? bytes.equals(LOOPBACK_V6) : bytes[0] === LOOPBACK_V4;
}

/** Whether two addresses are one; of those with a zone, on one network. */
export function isSameAddress(one: IpAddress, other: IpAddress): boolean {
  return one.bytes.equals(other.bytes) && one.zone === other.zone;
}

function v4Bytes(text: string): Buffer {
  return Buffer.from(text.split('.').map(Number));
}

/** Groups of 16 bits, of which the last may be an IPv4 address. */
function v6Bytes(text: string): Buffer {
  const groups = text === '' ? [] : text.split(':');
  return Buffer.concat(
    groups.map((group) => (group.includes('.') ? v4Bytes(group) : Buffer.from(group.padStart(4, '0'), 'hex'))),
  );
}
