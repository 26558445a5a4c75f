// The server's side of a framed call: frames become the call's stdin, window sizes and signals; its stdout, stderr and
// status become frames.
//
// stdin is bounded: while the command does not read it, the socket is not read either, so signals wait behind it.

import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { PassThrough } from 'node:stream';
import { toWindow } from './call-line.js';
import {
  encodeFrame,
  encodeHeader,
  FrameDecoder,
  FrameType,
  MAX_FRAME_BYTES,
  type Frame,
  type Hello,
} from './frames.js';
import { ReplyStream, type CallerTerminal } from './reply.js';
import { errorMessage } from '../util/errors.js';

/** How long a caller may take to finish a frame that it has begun, in milliseconds. */
const FRAME_TIMEOUT_MS = 10_000;
/** How much stdin may wait for a command that does not read, in bytes. */
const STDIN_BUFFER_BYTES = 256 * 1024;

/** One framed call on its socket. The socket stays the caller's to close. */
export class FramedConnection {
  readonly stdin = new PassThrough({ highWaterMark: STDIN_BUFFER_BYTES });
  readonly reply: ReplyStream;
  readonly #socket: Socket;
  readonly #decoder = new FrameDecoder();
  readonly #onData = (chunk: Buffer): void => this.#receive(chunk);
  readonly #onEnd = (): void => void this.stdin.end();
  readonly #onClose = (): void => this.#gone();
  #frameTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, hello: Hello, terminal: CallerTerminal | undefined) {
    this.#socket = socket;
    this.stdin.on('error', () => undefined); // it is destroyed when the caller goes away; its reader sees that
    this.reply = new ReplyStream(
      (chunk, done) => sendFrame(socket, FrameType.stdout, chunk, done),
      (chunk, done) => sendFrame(socket, FrameType.stderr, chunk, done),
      terminal,
    );
    socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose);
    socket.write(encodeFrame(FrameType.hello, JSON.stringify(hello)));
    socket.resume();
  }

  /** Sends the status, the last frame, and leaves the socket alone. */
  finish(): void {
    clearTimeout(this.#frameTimer);
    this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose);
    if (!this.#socket.destroyed) {
      this.#socket.write(encodeFrame(FrameType.status, JSON.stringify({ status: this.reply.status })));
    }
    this.stdin.destroy();
  }

  #receive(chunk: Buffer): void {
    try {
      for (const frame of this.#decoder.push(chunk)) this.#take(frame);
    } catch (error) {
      this.#refuse(errorMessage(error));
      return;
    }
    this.#watchFrame();
  }

  /** A frame that has begun must be finished in time; but not while it is us who do not read. */
  #watchFrame(): void {
    clearTimeout(this.#frameTimer);
    if (!this.#decoder.isInsideFrame || this.#socket.isPaused()) return;
    const message = `Invalid frame: it was not finished within ${FRAME_TIMEOUT_MS / 1000} seconds`;
    this.#frameTimer = setTimeout(() => this.#refuse(message), FRAME_TIMEOUT_MS);
  }

  #take({ type, payload }: Frame): void {
    if (type === FrameType.stdin) this.#takeStdin(payload);
    else if (type === FrameType.window) this.reply.announceWindow(toWindow(parseObject(payload)));
    else if (type === FrameType.signal) this.reply.announceSignal(toSignal(parseObject(payload)));
    else throw new Error(`Invalid frame: type ${type} goes to the client`);
  }

  #takeStdin(payload: Buffer): void {
    if (this.stdin.writableEnded || this.stdin.destroyed) return; // after its end, or the command is done with it
    if (payload.length === 0) {
      this.stdin.end();
    } else if (!this.stdin.write(payload) && !this.#socket.isPaused()) {
      this.#socket.pause();
      this.stdin.once('drain', () => {
        this.#socket.resume();
        this.#watchFrame();
      });
    }
  }

  /** One error, and the call is cut: after bytes that are no frame nothing that follows can be trusted. */
  #refuse(message: string): void {
    clearTimeout(this.#frameTimer);
    this.#socket.off('data', this.#onData);
    this.#socket.write(encodeFrame(FrameType.stderr, `Error: ${message}\n`));
    this.reply.status = 1;
    this.#gone();
  }

  #gone(): void {
    clearTimeout(this.#frameTimer);
    this.stdin.destroy();
    this.reply.destroy();
  }
}

/** Header and payload in one packet, without a copy of the payload; in several frames where one would be too large. */
function sendFrame(socket: Socket, type: number, payload: Buffer, done: (error?: Error | null) => void): void {
  const isLast = payload.length <= MAX_FRAME_BYTES;
  const piece = isLast ? payload : payload.subarray(0, MAX_FRAME_BYTES);
  socket.cork();
  socket.write(encodeHeader(type, piece.length));
  socket.write(piece, isLast ? done : undefined);
  socket.uncork();
  if (!isLast) sendFrame(socket, type, payload.subarray(MAX_FRAME_BYTES), done);
}

function parseObject(payload: Buffer): object {
  const value: unknown = JSON.parse(payload.toString('utf8'));
  if (value === null || typeof value !== 'object') throw new Error('Invalid frame: expected a JSON object');
  return value;
}

function toSignal(value: object): NodeJS.Signals {
  const name: unknown = 'signal' in value ? value.signal : undefined;
  if (typeof name === 'string' && Object.hasOwn(constants.signals, name)) return name as NodeJS.Signals; // just checked
  throw new Error(`Invalid frame: unknown signal ${JSON.stringify(name)}`);
}
