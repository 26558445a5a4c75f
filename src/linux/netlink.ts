// Questions to the kernel's network code in the language that it takes them in, netlink(7): a request, and the messages
// that answer it.
//
// `src/network/` asks here what a program would have to be started for, or installed. Each exchange has a socket of its own,
// closed before the caller goes on, so that no answer is ever taken for that of another question. What is asked at each
// call of a caller goes by netlink-line.ts.
//
// 2013: none; network.go started `ip` and `iptables`

import { constants } from 'node:os';
import { SyscallError } from './libc.js';
import { aligned, IS_LITTLE_ENDIAN, malformed, viewOf } from './netlink-attributes.js';
import {
  FLAGS_AT,
  HEADER_BYTES,
  message,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  onSocket,
  openSocket,
  RECEIVE_FLAGS,
  TYPE_AT,
} from './netlink-socket.js';

/** The protocols that are spoken here. */
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const NETLINK_NETFILTER = 12;
/** A flag of a request: tell of all that there are. */
export const NLM_F_DUMP = 0x300;

const NLM_F_ACK = 0x04;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_DONE = 3;
/** The kernel makes the messages of a dump fit in so much. */
const RECEIVE_BYTES = 32 * 1024;
/** How often to ask again where what is told changed while it was told. */
const MAX_TRIES = 10;

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
      onSocket.send(answer.facts, answer.socket, answer.message, answer.message.length, 0);
      while (!answer.isComplete) {
        const buffer = Buffer.allocUnsafe(request.answerBytes ?? RECEIVE_BYTES);
        const length = onSocket.receive(answer.facts, answer.socket, buffer, buffer.length, RECEIVE_FLAGS);
        bodies.push(...answer.take(buffer, length));
      }
      if (!answer.isInterrupted) return bodies;
      if (tries === MAX_TRIES) throw new SyscallError('netlink', constants.errno.EINTR, answer.facts);
    } finally {
      onSocket.close({}, answer.socket);
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
    await onSocket.sendAsync(answer.facts, answer.socket, answer.message, answer.message.length, 0);
    while (!answer.isComplete) {
      const buffer = Buffer.allocUnsafe(RECEIVE_BYTES);
      const length = await onSocket.receiveAsync(answer.facts, answer.socket, buffer, RECEIVE_BYTES, RECEIVE_FLAGS);
      yield answer.take(buffer, length);
    }
  } finally {
    onSocket.close({}, answer.socket);
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
    // A dump ends by a message of its own; everything else by the acknowledgement that is asked for here.
    const ending = (flags & NLM_F_DUMP) === NLM_F_DUMP ? 0 : NLM_F_ACK;
    this.message = message(type, flags | NLM_F_REQUEST | ending, 0, body);
    this.socket = openSocket(this.facts, protocol);
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
      this.#read(
        view.getUint16(at + TYPE_AT, IS_LITTLE_ENDIAN),
        view.getUint16(at + FLAGS_AT, IS_LITTLE_ENDIAN),
        body,
        bodies,
      );
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
