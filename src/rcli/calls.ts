// The calls under way: each is answered, logged in one line, and waited for when the daemon ends.
//
// Both transports bring their calls here, so that an error becomes `Error: TEXT` in one place and a failing command
// never takes the daemon with it.
//
// 2013: rcli/tcp.go, Serve; rcli/http.go, ListenAndServeHTTP

import type { Readable } from 'node:stream';
import { step, withinCall } from '../util/steps.js';
import { onOneLine } from '../util/table.js';
import { call, failureStatus, type Service } from './dispatch.js';
import type { ReplyStream } from './reply.js';
import { errorMessage } from '../util/errors.js';

/** Takes one line of the daemon's log. */
export type Log = (line: string) => void;

/** A call as it arrived. */
export interface IncomingCall {
  words: string[];
  stdin: Readable;
  reply: ReplyStream;
  /** `tcp`, `framed` or `http` */
  transport: string;
  /** who calls, `127.0.0.1:54321` */
  peer: string;
}

/** The longest piece of a command line that the log shows, in characters. */
const LOGGED_CHARACTERS = 500;

/** Answers calls of one service. */
export class Calls {
  readonly #service: Service;
  readonly #log: Log;
  readonly #active = new Map<Promise<void>, ReplyStream>();
  #count = 0;
  #isDraining = false;

  constructor(service: Service, log: Log) {
    this.#service = service;
    this.#log = log;
  }

  /** Answers a call. Resolves when the command has ended and all of its reply is handed to the transport; never rejects. */
  async answer(incoming: IncomingCall): Promise<void> {
    if (this.#isDraining) return this.refuse(incoming, 'The daemon is ending');
    const running = withinCall(++this.#count, () => this.#run(incoming));
    this.#active.set(running, incoming.reply);
    await running;
    this.#active.delete(running);
  }

  /** Does nothing of what the call wants, and tells why. Resolves and never rejects, as `answer`. */
  async refuse({ words, reply }: IncomingCall, message: string): Promise<void> {
    reply.status = failureStatus(this.#service, words[0] ?? '');
    reply.stderr.write(`Error: ${message}\n`);
    await flushed(reply);
  }

  /** Waits until no call is under way, at most `deadlineMs`; then cuts the rest. Resolves with how many were cut. */
  async drain(deadlineMs: number): Promise<number> {
    this.#isDraining = true;
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => (timer = setTimeout(resolve, deadlineMs)));
    await Promise.race([Promise.all(this.#active.keys()), deadline]);
    clearTimeout(timer);
    const left = [...this.#active.values()];
    for (const reply of left) reply.destroy();
    return left.length;
  }

  async #run({ words, stdin, reply, transport, peer }: IncomingCall): Promise<void> {
    const startedAt = performance.now();
    step('call', 'rcli/types.go, call', () => ({ words, transport, peer }));
    let outcome = 'ok';
    try {
      await call(this.#service, stdin, reply, words);
    } catch (error) {
      const message = errorMessage(error);
      outcome = reply.destroyed ? 'the caller went away' : `Error: ${onOneLine(message)}`;
      if (reply.status === 0) reply.status = 1;
      if (!reply.destroyed) reply.stderr.write(`Error: ${message}\n`);
    }
    await flushed(reply);
    const took = Math.round(performance.now() - startedAt);
    this.#log(`${transport} ${peer} ${showWords(words)} (${took} ms): ${outcome}`);
  }
}

/** Ends the reply and resolves once the transport has taken all of it, or the caller is gone. */
async function flushed(reply: ReplyStream): Promise<void> {
  const streams = reply.stderr === reply ? [reply] : [reply.stderr, reply];
  for (const stream of streams) {
    if (stream.destroyed) continue;
    await new Promise<void>((resolve) => {
      stream.once('close', resolve);
      stream.end();
    });
  }
}

/** A command line for the log: on one line, and bounded. */
function showWords(words: string[]): string {
  const shown = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word))).join(' ');
  return shown.length <= LOGGED_CHARACTERS ? shown : `${shown.slice(0, LOGGED_CHARACTERS)}… (${words.length} words)`;
}
