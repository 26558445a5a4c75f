// At most so many at a time: the others wait for their turn, in the order in which they came. Between two of them, those who
// come to the servers are let in.
//
// For work that is much at once for the one thread that answers everybody: a hundred of it side by side would be done no
// sooner, and nobody would be answered before the end.

import { lull } from './lull.js';

/** See the head of the file. */
export class Turns {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  /** `most` may be under way at once. */
  constructor(most: number) {
    this.#free = most;
  }

  /** Does `body` when its turn has come, and gives the turn on, whatever comes of it. */
  async take<T>(body: () => Promise<T>): Promise<T> {
    if (this.#free > 0) {
      this.#free--;
    } else {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      await lull();
    }
    try {
      return await body();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
