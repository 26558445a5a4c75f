// Whether a bridge takes one more interface. Asked before a container gets an address: past the limit LXC alone would
// find out, and say that an exchange is full.
//
// To count asks the kernel for every interface, under a lock that each start of a container takes as well. So it is done at
// most once a second, and again only where the limit seems to be reached.
//
// 2013: nothing

import { BRIDGE_PORT_LIMIT, countBridgePorts } from './bridge-ports.js';

const COUNT_AGE_MS = 1_000;

/** See the head of the file. */
export class BridgeRoom {
  readonly #bridge: string;
  #countedAtMs = -Infinity;
  /** what there was then, and what has been taken since */
  #joined = 0;

  constructor(bridge: string) {
    this.#bridge = bridge;
  }

  /** Takes a place on the bridge. `given`: the containers that have one, or will in a moment. Throws where there is none. */
  take(given: number): void {
    if (performance.now() - this.#countedAtMs > COUNT_AGE_MS || this.#joined >= BRIDGE_PORT_LIMIT) {
      const joined = countBridgePorts(this.#bridge);
      if (joined === undefined) {
        throw new Error(`Cannot join bridge ${this.#bridge}: it is gone; a daemon that starts makes it anew`);
      }
      this.#joined = Math.max(given, joined);
      this.#countedAtMs = performance.now();
    }
    if (this.#joined >= BRIDGE_PORT_LIMIT) {
      throw new Error(`Cannot join bridge ${this.#bridge}: it takes ${BRIDGE_PORT_LIMIT} interfaces, and has them`);
    }
    this.#joined++;
  }
}
