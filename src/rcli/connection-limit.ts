// How many connections there may be at once, over all ports together. One more is not answered, but told why: in the form
// of its own call, as long as not too many wait to be told; the rest in a plain line, at once.
//
// A connection counts from its beginning until it is closed, whether it has made a call or not. What is kept besides are
// open files: what a call does needs some, and so do the containers that run.
//
// DIFFERS D45: the original took connections until it had no file handle left, and ended.
//
// 2013: rcli/tcp.go, ListenAndServe (without a limit)

import type { Socket } from 'node:net';
import { noteArrival } from '../util/lull.js';

/** The most connections that there may be at once, where the process may have enough open files. */
export const MAX_CONNECTIONS = 4096;
/** How many of those that are refused may say first in which form they want to be told. */
const MAX_HEARD = 64;
/** How long they may take, in milliseconds. */
export const REFUSED_TIMEOUT_MS = 1_000;

/** What the limit depends on. */
export interface LimitSettings {
  most: number;
  /** whether there are open files left for one more call */
  hasFilesLeft: () => boolean;
  /** a line for the daemon's log, when the limit is reached */
  log: (line: string) => void;
}

/** Why a connection is not answered. */
export interface Refusal {
  message: string;
  /** it may say what it wants, and is then told in that form */
  isHeard: boolean;
}

/** See the head of the file. */
export class ConnectionLimit {
  readonly #settings: LimitSettings;
  #count = 0;
  #heard = 0;
  #isFull = false;

  constructor(settings: LimitSettings) {
    this.#settings = settings;
  }

  /**
   * Counts a new connection until it is closed. Undefined where it may stay; one that is `unwelcome` for another reason may
   * not, and does not count: it must not take the place of others.
   */
  admit(socket: Socket, unwelcome?: string): Refusal | undefined {
    noteArrival();
    const { most, hasFilesLeft, log } = this.#settings;
    const message =
      unwelcome ??
      (this.#count >= most
        ? `Too many connections: at most ${most} are allowed at once`
        : hasFilesLeft()
          ? undefined
          : 'Too many open files: no more connections are taken until some are closed');
    if (message === undefined) {
      this.#isFull = false;
      this.#count++;
      socket.once('close', () => this.#count--);
      return undefined;
    }
    if (unwelcome === undefined) {
      if (!this.#isFull) log(`refusing connections: ${message}`); // once, not for each of thousands
      this.#isFull = true;
    }
    const isHeard = this.#heard < MAX_HEARD && hasFilesLeft();
    if (isHeard) {
      this.#heard++;
      socket.once('close', () => this.#heard--);
    }
    return { message, isHeard };
  }
}
