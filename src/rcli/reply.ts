// Where a command writes its answer, and what it may know of its caller.
//
// The three transports (2013 call, framed call, HTTP) each make one ReplyStream a call. Writing respects back-pressure;
// a caller that goes away destroys the stream, which ends whatever is piped into it.
//
// 2013: the `stdout io.Writer` that every Cmd function got

import { Writable } from 'node:stream';

/** The size of a caller's terminal, in characters. */
export interface CallerWindow {
  rows: number;
  cols: number;
}

/** What a caller with a terminal said about it. */
export interface CallerTerminal extends CallerWindow {
  /** the value of TERM, where the caller told it */
  term: string | undefined;
}

/** Puts bytes on the wire and calls back once there is room for more. */
export type Send = (chunk: Buffer, done: (error?: Error | null) => void) => void;

/** How many signals are kept for a command that does not listen yet. */
const MAX_EARLY_SIGNALS = 16;

interface ReplyEvents {
  window: [CallerWindow];
  signal: [NodeJS.Signals];
}

/** The answer to one call. What is written here is the call's stdout. */
export class ReplyStream extends Writable {
  /** The call's stderr: the same stream where the transport merges the two. */
  readonly stderr: Writable;
  /** The exit status that a framed caller is told. */
  status = 0;
  /** The caller's terminal, where it has one and the transport can tell. */
  readonly terminal: CallerTerminal | undefined;
  /** made for who asks for it: most commands end without */
  #gone: AbortController | undefined;
  /** what came before anybody listened; of the sizes the last */
  #earlyWindow: CallerWindow | undefined;
  readonly #earlySignals: NodeJS.Signals[] = [];
  readonly #send: Send;
  /** Tells whoever wrote what is being sent. Not every transport does where its caller goes away: node's HTTP drops what it has. */
  #unsent: ((error?: Error | null) => void) | undefined;
  readonly #listeners: { [Name in keyof ReplyEvents]: Set<(...args: ReplyEvents[Name]) => void> } = {
    window: new Set(),
    signal: new Set(),
  };

  constructor(sendStdout: Send, sendStderr?: Send, terminal?: CallerTerminal) {
    super({ decodeStrings: true });
    this.#send = sendStdout;
    this.terminal = terminal;
    this.stderr = sendStderr === undefined ? this : new ErrorStream(sendStderr);
    // A caller that is gone is no error of the daemon's; commands see `destroyed` or a failed pipeline.
    this.on('error', () => undefined);
    if (this.stderr !== this) this.stderr.on('error', () => undefined);
  }

  /** Aborted when the caller is gone, or the reply has ended: what waits on its behalf should stop. */
  get gone(): AbortSignal {
    if (this.#gone === undefined) {
      this.#gone = new AbortController();
      if (this.destroyed) this.#gone.abort();
    }
    return this.#gone.signal;
  }

  /** Calls `listener` for each new size of the caller's terminal. Returns the remover. */
  onWindow(listener: (window: CallerWindow) => void): () => void {
    this.#listeners.window.add(listener);
    if (this.#earlyWindow !== undefined) listener(this.#earlyWindow);
    this.#earlyWindow = undefined;
    return () => this.#listeners.window.delete(listener);
  }

  /** Calls `listener` for each signal that the caller passes on. Returns the remover. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void {
    this.#listeners.signal.add(listener);
    for (const signal of this.#earlySignals.splice(0)) listener(signal);
    return () => this.#listeners.signal.delete(listener);
  }

  /** For the transport: the caller's terminal has changed its size. */
  announceWindow(window: CallerWindow): void {
    if (this.#listeners.window.size === 0) this.#earlyWindow = window;
    for (const listener of this.#listeners.window) listener(window);
  }

  /** For the transport: the caller passes a signal on. */
  announceSignal(signal: NodeJS.Signals): void {
    if (this.#listeners.signal.size === 0 && this.#earlySignals.length < MAX_EARLY_SIGNALS)
      this.#earlySignals.push(signal);
    for (const listener of this.#listeners.signal) listener(signal);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (chunk.length === 0) return done();
    this.#unsent = done;
    this.#send(chunk, (error) => {
      if (this.#unsent !== done) return; // the caller went away meanwhile, and the writer has been told
      this.#unsent = undefined;
      done(error);
    });
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#gone?.abort();
    const unsent = this.#unsent;
    this.#unsent = undefined;
    unsent?.(error ?? new Error('Cannot write to a caller that has gone'));
    if (this.stderr !== this) this.stderr.destroy();
    done(error);
  }
}

/** The stderr of a framed call. */
class ErrorStream extends Writable {
  readonly #send: Send;

  constructor(send: Send) {
    super({ decodeStrings: true });
    this.#send = send;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#send(chunk, done);
  }
}

/** Writes `chunk` and resolves when there is room for more. Rejects where the caller is gone. */
export function writeTo(stream: Writable, chunk: Buffer | string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(chunk, (error) => {
      if (error) reject(error);
      else resolve();
    });
  });
}
