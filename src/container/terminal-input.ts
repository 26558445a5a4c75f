// Typing into a container's terminal: writes to a pty master that must never block the daemon.
//
// A program that does not read its terminal fills it after some kilobytes; the rest waits here, one piece at a time, and
// the writer feels the back-pressure.

import { write } from 'node:fs';
import { Writable } from 'node:stream';
import { hasCode } from '../linux/libc.js';

/** How long to wait for room in a full terminal, in milliseconds. */
const RETRY_MS = 5;
/** What typing Ctrl-D sends: the end of input, at the beginning of a line. */
const END_OF_TRANSMISSION = 4;
const NEWLINE = 0x0a;
/** Stands in the queue for the end of input; what it is depends on what has been typed by then. */
const END_OF_INPUT = Buffer.from('end of input');

/** See the head of the file. The descriptor stays its owner's, who destroys this before closing it. */
export class TerminalInput extends Writable {
  readonly #master: number;
  #lastByte = NEWLINE;

  /** `master` must be non-blocking. */
  constructor(master: number) {
    super({ decodeStrings: true });
    this.#master = master;
    this.setMaxListeners(0); // any number of callers may be attached
    this.on('error', () => undefined); // the terminal is gone, and with it the program: its exit tells
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.destroyed || chunk.length === 0) return done();
    if (chunk === END_OF_INPUT) chunk = this.#endOfInput();
    write(this.#master, chunk, (error, written) => {
      if (error !== null && !hasCode(error, 'EAGAIN')) return done(error);
      if (written > 0) this.#lastByte = chunk[written - 1] ?? this.#lastByte;
      if (written === chunk.length) return done();
      setTimeout(() => this._write(chunk.subarray(written || 0), _encoding, done), written > 0 ? 0 : RETRY_MS);
    });
  }

  /** Keeps what is typed until `release`: where it is too much, the writer feels the back-pressure. */
  hold(): void {
    this.cork();
  }

  /** Hands over what was typed meanwhile, and from now on at once. */
  release(): void {
    this.uncork();
  }

  /** As Ctrl-D, after all that was written before. */
  sendEndOfInput(): void {
    this.write(END_OF_INPUT);
  }

  /** Within a line it takes two: the first only hands the line on. */
  #endOfInput(): Buffer {
    return Buffer.alloc(this.#lastByte === NEWLINE ? 1 : 2, END_OF_TRANSMISSION);
  }
}
