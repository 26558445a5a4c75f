// Whose a TCP connection is: the owners of its two sockets, asked of the kernel for these alone by their addresses and ports
// (inet_diag, sock_diag(7)). They are on this machine, in the network namespace of this process.
//
// `server/callers.ts` asks for both ends of each connection.
//
// The rule that must hold: a socket that no process has any more belongs to nobody. For those some kernels say uid 0,
// which must never be taken for root.
//
// 2013: none

import type { IpEnd } from '../util/ip-address.js';
import { IS_LITTLE_ENDIAN, readAttributes, viewOf } from './netlink-attributes.js';
import { NetlinkLine } from './netlink-line.js';
import { NETLINK_SOCK_DIAG } from './netlink.js';

/** Who has a socket. */
export interface SocketOwner {
  uid: number;
  /** the cgroup (v2) of the process that made it, by its id; undefined where the kernel does not say */
  cgroup: bigint | undefined;
}

const SOCK_DIAG_BY_FAMILY = 20;
const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_TCP = 6;
/** struct inet_diag_req_v2: family, protocol, two bytes, the states that are meant, then the socket. */
const REQUEST_BYTES = 56;
const STATES_AT = 4;
const ASKED_AT = 8;
/** struct inet_diag_msg: family, state, two bytes, the socket, and more. Attributes follow. */
const ANSWER_BYTES = 72;
/** With the attributes. */
const MAX_ANSWER_BYTES = 1024;
const TOLD_AT = 4;
const UID_AT = 64;
const INODE_AT = 68;
/** struct inet_diag_sockid: two ports, two addresses, the interface, and a cookie, which is all ones where it is not known. */
const IPV6_BYTES = 16;
const [OWN_PORT, OTHER_PORT, OWN_ADDRESS, OTHER_ADDRESS, ENDS_BYTES, COOKIE, SOCKET_BYTES] = [0, 2, 4, 20, 36, 40, 48];
/** Of an IPv6 address that stands for an IPv4 address. */
const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');
const INET_DIAG_CGROUP_ID = 21;

/** Tells whose sockets are. It has one open to the kernel; whoever made it closes it. */
export class SocketOwners {
  readonly #line = new NetlinkLine({
    protocol: NETLINK_SOCK_DIAG,
    type: SOCK_DIAG_BY_FAMILY,
    answerBytes: MAX_ANSWER_BYTES,
    purpose: 'find the socket of a caller',
  });

  /** What the first question does otherwise, at a moment when there may be no open file left. Throws SyscallError. */
  open(): void {
    this.#line.open();
  }

  close(): void {
    this.#line.close();
  }

  /**
   * Who has the sockets at the ends `one` and `other` of the connection between them, looked at in this order. Undefined
   * for one that is not here, or that no process has any more. Blocks, for some 20 µs.
   */
  of(one: IpEnd, other: IpEnd): [one: SocketOwner | undefined, other: SocketOwner | undefined] {
    const [askOne, askOther] = [requestFor(one, other), requestFor(other, one)];
    // Also undefined: from a kernel that cannot tell.
    const [ofOne, ofOther] = this.#line.ask([askOne, askOther]);
    return [ownerIn(ofOne, askOne), ownerIn(ofOther, askOther)];
  }
}

function ownerIn(answer: Buffer | undefined, request: Buffer): SocketOwner | undefined {
  if (answer === undefined || answer.length < ANSWER_BYTES) return undefined;
  // Where there is no such connection, the kernel tells of a socket that listens at its own end, which is another's.
  const told = answer.subarray(TOLD_AT, TOLD_AT + ENDS_BYTES);
  const asked = request.subarray(ASKED_AT, ASKED_AT + ENDS_BYTES);
  if (!told.equals(asked) && !(request[0] === AF_INET && told.equals(inIpv6Form(asked)))) return undefined;
  const view = viewOf(answer);
  if (view.getUint32(INODE_AT, IS_LITTLE_ENDIAN) === 0) return undefined;
  const cgroup = readAttributes(answer, ANSWER_BYTES).get(INET_DIAG_CGROUP_ID);
  return {
    uid: view.getUint32(UID_AT, IS_LITTLE_ENDIAN),
    cgroup: cgroup === undefined ? undefined : viewOf(cgroup).getBigUint64(0, IS_LITTLE_ENDIAN),
  };
}

/** The ends of a connection over IPv4 as a socket of IPv6 may tell them. */
function inIpv6Form(ends: Buffer): Buffer {
  const told = Buffer.from(ends);
  for (const at of [OWN_ADDRESS, OTHER_ADDRESS]) {
    told.set(ends.subarray(at, at + IPV6_BYTES - MAPPED_PREFIX.length), at + MAPPED_PREFIX.length);
    told.set(MAPPED_PREFIX, at);
  }
  return told;
}

function requestFor(own: IpEnd, other: IpEnd): Buffer {
  const request = Buffer.alloc(REQUEST_BYTES);
  // A socket of IPv6 that is connected to an IPv4 address is found as one of IPv4.
  request[0] = own.address.bytes.length === IPV6_BYTES ? AF_INET6 : AF_INET;
  request[1] = IPPROTO_TCP;
  request.fill(0xff, STATES_AT, ASKED_AT);
  const socket = request.subarray(ASKED_AT, ASKED_AT + SOCKET_BYTES);
  socket.writeUInt16BE(own.port, OWN_PORT);
  socket.writeUInt16BE(other.port, OTHER_PORT);
  socket.set(own.address.bytes, OWN_ADDRESS);
  socket.set(other.address.bytes, OTHER_ADDRESS);
  socket.fill(0xff, COOKIE);
  return request;
}
