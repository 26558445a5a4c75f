// The socket of netlink(7), and the header that each message has: what those who ask share, whether their socket is made for
// one question (netlink.ts) or stays (netlink-line.ts).
//
// 2013: none

import { bind, bindAsync, type CallFacts } from './libc.js';
import { IS_LITTLE_ENDIAN, viewOf } from './netlink-attributes.js';

/** The type of the message that says how a request ended: with an errno number, negative, or 0. */
export const NLMSG_ERROR = 2;
export const NLM_F_REQUEST = 0x01;
/** Of struct nlmsghdr, which has the length of the message at 0, its type at 4, its flags at 6, its number at 8. */
export const HEADER_BYTES = 16;
export const TYPE_AT = 4;
export const FLAGS_AT = 6;
export const NUMBER_AT = 8;
/** MSG_TRUNC, which tells the length of what there was, and MSG_DONTWAIT: the kernel has answered when `send` returns. */
export const RECEIVE_FLAGS = 0x20 | 0x40;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
/** struct sockaddr_nl: the family, the number of a socket (0 is the kernel), the groups. */
const ADDRESS_BYTES = 12;

const SEND = 'long send(int fd, void *bytes, size_t length, int flags)';
const RECEIVE = 'long recv(int fd, void *bytes, size_t length, int flags)';
const native = {
  socket: bind('int socket(int domain, int type, int protocol)'),
  connect: bind('int connect(int fd, void *address, int length)'),
};

/** The calls on an open socket. */
export const onSocket = {
  send: bind(SEND),
  receive: bind(RECEIVE),
  sendAsync: bindAsync(SEND),
  receiveAsync: bindAsync(RECEIVE),
  close: bind('int close(int fd)'),
};

/** A new socket, which is the caller's to close. */
export function openSocket(facts: CallFacts, protocol: number): number {
  return native.socket(facts, AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
}

/** From now on the kernel alone can send anything to the socket. Otherwise whoever has CAP_NET_ADMIN could answer for it. */
export function connectToKernel(facts: CallFacts, socket: number): void {
  const address = Buffer.alloc(ADDRESS_BYTES);
  viewOf(address).setUint16(0, AF_NETLINK, IS_LITTLE_ENDIAN);
  native.connect(facts, socket, address, ADDRESS_BYTES);
}

/** A message: the header, then `body`. */
export function message(type: number, flags: number, number: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + body.length);
  const view = viewOf(bytes);
  view.setUint32(0, bytes.length, IS_LITTLE_ENDIAN);
  view.setUint16(TYPE_AT, type, IS_LITTLE_ENDIAN);
  view.setUint16(FLAGS_AT, flags, IS_LITTLE_ENDIAN);
  view.setUint32(NUMBER_AT, number, IS_LITTLE_ENDIAN);
  bytes.set(body, HEADER_BYTES);
  return bytes;
}
