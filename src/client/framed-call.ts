// The client's side of a framed call.
//
// The first byte back tells whom we talk to: a 6 is the hello of a tsdock daemon, anything else an original one, which
// then gets the call as a plain array. Nothing of standard input is sent before that is known.

import type { Socket } from 'node:net';
import { encodeFrame, FrameDecoder, FrameType, type Frame } from '../rcli/frames.js';
import { showAddress } from '../util/address.js';
import type { DaemonAddress } from './address.js';
import { ClientError, lostDaemon } from './connection.js';

/** How long a daemon may take to say hello, in milliseconds. */
const HELLO_TIMEOUT_MS = 10_000;

/** The caller's terminal, as the call line tells of it. */
export interface LineTerminal {
  rows: number;
  cols: number;
  term: string | undefined;
}

/** Takes one piece of the reply. */
export type OutputTaker = (piece: Buffer) => void;

/** A framed call under way. */
export class FramedCall {
  readonly #socket: Socket;
  readonly #status: Promise<number>;
  readonly #onData: (chunk: Buffer) => void;

  private constructor(socket: Socket, status: Promise<number>, onData: (chunk: Buffer) => void) {
    this.#socket = socket;
    this.#status = status;
    this.#onData = onData;
  }

  /**
   * Makes the call on an open connection. Resolves once the daemon has said hello, with undefined where it is an
   * original one: then nothing was done, and the connection is closed. Output goes to this process's own, unless it is
   * taken, from `receive` on.
   */
  static async begin(
    socket: Socket,
    address: DaemonAddress,
    words: string[],
    tty: LineTerminal | undefined,
    onStdout: OutputTaker = (piece) => output(socket, process.stdout, piece),
    onStderr: OutputTaker = (piece) => output(socket, process.stderr, piece),
  ): Promise<FramedCall | undefined> {
    const decoder = new FrameDecoder();
    let onHello: (isTsdock: boolean) => void = () => undefined;
    let onLost: (error: Error) => void = () => undefined;
    const hello = new Promise<boolean>((resolve, reject) => {
      onHello = resolve;
      onLost = reject;
    });
    const timer = setTimeout(() => {
      onLost(new ClientError(`No answer from ${showAddress(address)}: is it a tsdock daemon?`));
      socket.destroy();
    }, HELLO_TIMEOUT_MS);
    socket.once('data', (beginning: Buffer) => {
      socket.pause();
      socket.unshift(beginning);
      onHello(beginning[0] === FrameType.hello);
    });
    let onData: (chunk: Buffer) => void = () => undefined;
    const status = new Promise<number>((resolve, reject) => {
      const take = ({ type, payload }: Frame): void => {
        if (type === FrameType.stdout) onStdout(payload);
        else if (type === FrameType.stderr) onStderr(payload);
        else if (type === FrameType.status) resolve(statusOf(payload));
      };
      onData = (chunk) => {
        try {
          for (const frame of decoder.push(chunk)) take(frame);
        } catch (error) {
          socket.destroy();
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      };
      const lost = (): void => {
        onLost(lostDaemon(address));
        reject(lostDaemon(address));
      };
      socket.on('close', lost).on('end', lost).on('error', lost);
    });
    status.catch(() => undefined); // whoever waits for it is told; before the hello nobody does
    socket.write(`${JSON.stringify({ frames: 1, args: words, ...(tty === undefined ? {} : { tty }) })}\n`);
    try {
      if (await hello) return new FramedCall(socket, status, onData);
      socket.destroy();
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Begins to take the reply, of which some may have come with the hello. To be called once. Resolves with the status frame;
   * rejects where the connection ends before it.
   */
  receive(): Promise<number> {
    this.#socket.on('data', this.#onData).resume();
    return this.#status;
  }

  /** Sends standard input; an empty piece is its end. False where the connection is full: wait for `drained`. */
  sendInput(piece: Buffer): boolean {
    return this.#socket.writable ? this.#socket.write(encodeFrame(FrameType.stdin, piece)) : true;
  }

  /** Calls back once there is room again. */
  onceDrained(callback: () => void): void {
    this.#socket.once('drain', callback);
  }

  sendWindow(rows: number, cols: number): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(FrameType.window, JSON.stringify({ rows, cols })));
  }

  sendSignal(signal: NodeJS.Signals): void {
    if (this.#socket.writable) this.#socket.write(encodeFrame(FrameType.signal, JSON.stringify({ signal })));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Writes output; where it cannot take more, the daemon has to wait too. */
export function output(socket: Socket, stream: NodeJS.WriteStream, piece: Buffer): void {
  if (stream.write(piece) || socket.isPaused()) return;
  socket.pause();
  stream.once('drain', () => socket.resume());
}

function statusOf(payload: Buffer): number {
  const value: unknown = JSON.parse(payload.toString('utf8'));
  const status: unknown = value !== null && typeof value === 'object' && 'status' in value ? value.status : undefined;
  return typeof status === 'number' ? status & 0xff : 1;
}

/** Resolves once all that was written to our own stdout and stderr has been taken: to exit before that would cut it. */
export async function outputFlushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise<void>((resolve) => stream.write('', () => resolve()));
  }
}
