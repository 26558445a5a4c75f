// Questions to the kernel's network code in the language that it takes them in, netlink(7): a request, and the messages
// that answer it.
//
// `src/network/` asks here what a program would have to be started for, or installed. Each exchange has a socket of its own,
// closed before the caller goes on, so that no answer is ever taken for that of another question.
//
// 2013: none; network.go started `ip` and `iptables`

import { constants } from 'node:os';
import { SyscallError, bind, bindAsync } from './libc.js';
import { aligned, IS_LITTLE_ENDIAN, malformed, viewOf } from './netlink-attributes.js';

/** The protocols that are spoken here. */
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;
/** A flag of a request: tell of all that there are. */
export const NLM_F_DUMP = 0x300;

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
/** MSG_TRUNC, which tells the length of what there was, and MSG_DONTWAIT: the kernel has answered when `send` returns. */
const RECEIVE_FLAGS = 0x20 | 0x40;
const NLM_F_REQUEST = 0x01;
const NLM_F_ACK = 0x04;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
/** Of struct nlmsghdr, which has the length of the message at 0, its type at 4, its flags at 6. */
const HEADER_BYTES = 16;
/** The kernel makes the messages of a dump fit in so much. */
const RECEIVE_BYTES = 32 * 1024;
/** How often to ask again where what is told changed while it was told. */
const MAX_TRIES = 10;

const SEND = 'long send(int fd, void *bytes, size_t length, int flags)';
const RECEIVE = 'long recv(int fd, void *bytes, size_t length, int flags)';
const native = {
  socket: bind('int socket(int domain, int type, int protocol)'),
  send: bind(SEND),
  receive: bind(RECEIVE),
  sendAsync: bindAsync(SEND),
  receiveAsync: bindAsync(RECEIVE),
  close: bind('int close(int fd)'),
};

/** What is asked of the kernel. */
export interface NetlinkRequest {
  /** `NETLINK_ROUTE`, `NETLINK_SOCK_DIAG` or `NETLINK_NETFILTER` */
  protocol: number;
  /** the type of the message */
  type: number;
  /** beside those that every request has */
  flags?: number;
  /** what follows the header of the message */
  body: Buffer;
  /** how long the answer may be, in bytes; as long as the part of a dump unless it is said */
  answerBytes?: number;
  /** for the error's message: the action, as in `count the ports of bridge 'b'` */
  purpose: string;
}

/**
 * Asks, and returns what stands in each message of the answer behind its header. Throws SyscallError with the kernel's
 * reason; EINTR where a dump was inconsistent each time. Blocks: for what is small.
 */
export function netlinkRequest(request: NetlinkRequest): Buffer[] {
  for (let tries = 1; ; tries++) {
    const answer = new Answer(request);
    try {
      const bodies: Buffer[] = [];
      native.send(answer.facts, answer.socket, answer.message, answer.message.length, 0);
      while (!answer.isComplete) {
        const buffer = Buffer.allocUnsafe(request.answerBytes ?? RECEIVE_BYTES);
        const length = native.receive(answer.facts, answer.socket, buffer, buffer.length, RECEIVE_FLAGS);
        bodies.push(...answer.take(buffer, length));
      }
      if (!answer.isInterrupted) return bodies;
      if (tries === MAX_TRIES) throw new SyscallError('netlink', constants.errno.EINTR, answer.facts);
    } finally {
      native.close({}, answer.socket);
    }
  }
}

/**
 * As `netlinkRequest`, for an answer of any length: yields what has come, part by part, while a thread of the pool waits for
 * the kernel. What changes meanwhile may be told twice, or not at all.
 */
export async function* netlinkParts(request: NetlinkRequest): AsyncGenerator<Buffer[], void, undefined> {
  const answer = new Answer(request);
  try {
    await native.sendAsync(answer.facts, answer.socket, answer.message, answer.message.length, 0);
    while (!answer.isComplete) {
      const buffer = Buffer.allocUnsafe(RECEIVE_BYTES);
      const length = await native.receiveAsync(answer.facts, answer.socket, buffer, RECEIVE_BYTES, RECEIVE_FLAGS);
      yield answer.take(buffer, length);
    }
  } finally {
    native.close({}, answer.socket);
  }
}

/** One exchange, as far as it has come. Whoever makes it closes its socket. */
class Answer {
  readonly facts: { data: string };
  readonly message: Buffer;
  readonly socket: number;
  isComplete = false;
  /** what was told changed while it was told */
  isInterrupted = false;

  constructor({ protocol, type, flags = 0, body, purpose }: NetlinkRequest) {
    this.facts = { data: purpose };
    this.message = Buffer.concat([Buffer.alloc(HEADER_BYTES), body]);
    const view = viewOf(this.message);
    // A dump ends by a message of its own; everything else by the acknowledgement that is asked for here.
    const ending = (flags & NLM_F_DUMP) === NLM_F_DUMP ? 0 : NLM_F_ACK;
    view.setUint32(0, this.message.length, IS_LITTLE_ENDIAN);
    view.setUint16(4, type, IS_LITTLE_ENDIAN);
    view.setUint16(6, flags | NLM_F_REQUEST | ending, IS_LITTLE_ENDIAN);
    this.socket = native.socket(this.facts, AF_NETLINK, SOCK_RAW_CLOEXEC, protocol);
  }

  /** The bodies of the messages that were received. `length` is what there was to receive. */
  take(buffer: Buffer, length: number): Buffer[] {
    if (length > buffer.length) throw new SyscallError('netlink', constants.errno.EMSGSIZE, this.facts);
    const bodies: Buffer[] = [];
    const view = viewOf(buffer);
    for (let at = 0; at + HEADER_BYTES <= length && !this.isComplete;) {
      const size = view.getUint32(at, IS_LITTLE_ENDIAN);
      if (size < HEADER_BYTES || at + size > length) throw new Error(malformed('a message', size));
      const body = buffer.subarray(at + HEADER_BYTES, at + size);
      this.#read(view.getUint16(at + 4, IS_LITTLE_ENDIAN), view.getUint16(at + 6, IS_LITTLE_ENDIAN), body, bodies);
      at += aligned(size);
    }
    return bodies;
  }

  #read(type: number, flags: number, body: Buffer, bodies: Buffer[]): void {
    if ((flags & NLM_F_DUMP_INTR) !== 0) this.isInterrupted = true;
    if (type !== NLMSG_ERROR && type !== NLMSG_DONE) {
      bodies.push(body);
      return;
    }
    this.isComplete = true;
    const result = viewOf(body).getInt32(0, IS_LITTLE_ENDIAN);
    if (result < 0) throw new SyscallError('netlink', -result, this.facts);
  }
}
