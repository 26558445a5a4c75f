// A connection that stays open over several steps of a case: what comes is kept until a step asks for it.

import type { Socket } from 'node:net';
import { isEnd, open, type Address } from './exchange.js';

/** Owns its socket until `close`. */
export class Connection {
  readonly #socket: Socket;
  /** what came since the last step that took it */
  #pending = Buffer.of();
  #isEnded = false;
  #error: Error | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => (this.#pending = Buffer.concat([this.#pending, chunk])));
    socket.on('end', () => (this.#isEnded = true));
    socket.on('close', () => (this.#isEnded = true));
    socket.on('error', (error) => {
      if (!isEnd(error)) this.#error = error;
    });
  }

  static async open(address: Address): Promise<Connection> {
    return new Connection(await open(address));
  }

  send(bytes: Buffer): void {
    this.#socket.write(bytes);
  }

  shutdown(): void {
    this.#socket.end();
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Takes what came once `isRight` says so of all of it. Resolves with what did not please it where time or data end. */
  async until(isRight: (bytes: Buffer) => boolean, timeoutMs: number): Promise<Buffer | undefined> {
    const deadline = performance.now() + timeoutMs;
    while (!isRight(this.#pending)) {
      if (this.#isEnded || !(await this.#change(deadline - performance.now()))) return this.#take();
    }
    this.#take();
    return undefined;
  }

  /** Resolves after the time with nothing where nothing came, else at once with what came; an end is empty. */
  async quiet(forMs: number): Promise<Buffer | undefined> {
    if (this.#pending.length > 0 || this.#isEnded) return this.#take();
    return (await this.#change(forMs)) ? this.#take() : undefined;
  }

  /** Reads to the end. Rejects where it does not come in time. */
  async toEnd(timeoutMs: number): Promise<Buffer> {
    const deadline = performance.now() + timeoutMs;
    while (!this.#isEnded) {
      if (await this.#change(deadline - performance.now())) continue;
      const soFar = this.#take().toString('latin1', 0, 300);
      throw new Error(`No end of the connection in ${timeoutMs / 1000} s; so far ${JSON.stringify(soFar)}`);
    }
    if (this.#error !== undefined) throw this.#error;
    return this.#take();
  }

  #take(): Buffer {
    const taken = this.#pending;
    this.#pending = Buffer.of();
    return taken;
  }

  /** Waits for data or the end: whether one of them came in time. */
  #change(withinMs: number): Promise<boolean> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      const done = (hasCome: boolean): void => {
        clearTimeout(timer);
        for (const event of ['data', 'end', 'close']) socket.off(event, onChange);
        resolve(hasCome);
      };
      const onChange = (): void => done(true);
      const timer = setTimeout(() => done(false), Math.max(0, withinMs));
      for (const event of ['data', 'end', 'close']) socket.once(event, onChange);
    });
  }
}
