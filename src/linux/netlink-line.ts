// A line to the kernel that stays open, for small questions that are asked thousands of times a second: several of them go
// in one message, and each is answered by one.
//
// `socket-owner.ts` asks here, twice for each connection. It owns its socket; whoever made it closes it.
//
// The rule that must hold: an answer is taken for that of its own question only. Each question has a number, the kernel
// alone can send to the socket, and nothing is left in it: where anything else comes than what must come, or nothing, this
// question fails, and the next one has a new socket.
//
// 2013: none

import { constants } from 'node:os';
import { SyscallError, type CallFacts } from './libc.js';
import { IS_LITTLE_ENDIAN, malformed, viewOf } from './netlink-attributes.js';
import {
  connectToKernel,
  HEADER_BYTES,
  message,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  NUMBER_AT,
  onSocket,
  openSocket,
  RECEIVE_FLAGS,
  TYPE_AT,
} from './netlink-socket.js';

const MAX_NUMBER = 0xffff_ffff;

/** What a line is for. */
export interface LineSettings {
  /** of netlink.ts: `NETLINK_SOCK_DIAG`, say */
  protocol: number;
  /** the type of each question */
  type: number;
  /** how long an answer may be, in bytes */
  answerBytes: number;
  /** for the error's message: the action */
  purpose: string;
}

/** See the head of the file. */
export class NetlinkLine {
  readonly #settings: LineSettings;
  readonly #facts: CallFacts;
  /** each answer is copied out of it */
  readonly #buffer: Buffer;
  #socket: number | undefined;
  #number = 0;

  constructor(settings: LineSettings) {
    this.#settings = settings;
    this.#facts = { data: settings.purpose };
    this.#buffer = Buffer.alloc(settings.answerBytes);
  }

  /** Opens it, which the first question does otherwise. Throws SyscallError. */
  open(): void {
    this.#socket ??= this.#connect();
  }

  close(): void {
    if (this.#socket === undefined) return;
    onSocket.close({}, this.#socket);
    this.#socket = undefined;
  }

  /**
   * What stands behind the header of the answer to each of these; undefined where the kernel says that there is no such
   * thing. Blocks, for some 10 µs. Throws SyscallError, and then none of them is answered.
   */
  ask(bodies: readonly Uint8Array[]): (Buffer | undefined)[] {
    try {
      return this.#ask(bodies);
    } catch (error) {
      this.close(); // a late answer must find nobody
      throw error;
    }
  }

  #ask(bodies: readonly Uint8Array[]): (Buffer | undefined)[] {
    const socket = (this.#socket ??= this.#connect());
    const numbers = bodies.map(() => this.#nextNumber());
    const { type } = this.#settings;
    // Without the acknowledgement that could be asked for, so that what comes is one message for each.
    const questions = bodies.map((body, i) => message(type, NLM_F_REQUEST, numbers[i] ?? 0, body));
    const bytes = Buffer.concat(questions);
    const sent = onSocket.send(this.#facts, socket, bytes, bytes.length, 0);
    if (sent !== bytes.length) throw new Error(malformed('less than the question', sent));
    return numbers.map((number) => this.#receive(socket, number));
  }

  #receive(socket: number, number: number): Buffer | undefined {
    const buffer = this.#buffer;
    const length = onSocket.receive(this.#facts, socket, buffer, buffer.length, RECEIVE_FLAGS);
    if (length > buffer.length) throw new SyscallError('netlink', constants.errno.EMSGSIZE, this.#facts);
    const view = viewOf(buffer);
    const size = length < HEADER_BYTES ? 0 : view.getUint32(0, IS_LITTLE_ENDIAN);
    if (size < HEADER_BYTES || size > length) throw new Error(malformed('a message', size));
    const answered = view.getUint32(NUMBER_AT, IS_LITTLE_ENDIAN);
    if (answered !== number) throw new Error(malformed(`the answer to question ${answered}, not ${number},`, size));
    if (view.getUint16(TYPE_AT, IS_LITTLE_ENDIAN) !== NLMSG_ERROR)
      return Buffer.from(buffer.subarray(HEADER_BYTES, size));
    const errno = -view.getInt32(HEADER_BYTES, IS_LITTLE_ENDIAN);
    if (errno === constants.errno.ENOENT) return undefined;
    throw new SyscallError('netlink', errno, this.#facts);
  }

  #nextNumber(): number {
    this.#number = this.#number === MAX_NUMBER ? 1 : this.#number + 1;
    return this.#number;
  }

  #connect(): number {
    const socket = openSocket(this.#facts, this.#settings.protocol);
    try {
      connectToKernel(this.#facts, socket);
      return socket;
    } catch (error) {
      onSocket.close({}, socket);
      throw error;
    }
  }
}
