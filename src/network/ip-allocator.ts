// Which addresses of the bridge's network are in use. Each address goes to one container at a time; one that has come
// back waits until all others had their turn, so that what still talks to the container that had it meets nobody.
//
// DIFFERS D24: a daemon that starts again knows what running containers have; the original gave it out a second time.
//
// 2013: network.go, IPAllocator (a channel filled with the whole range)

import { formatCidr, networkRange, type Cidr } from './ipv4.js';

/** See the head of the file. */
export class IPAllocator {
  readonly #bridge: Cidr;
  readonly #taken = new Set<number>();
  #next: number;

  /** `bridge`: the bridge's own address, which no container gets. */
  constructor(bridge: Cidr) {
    this.#bridge = bridge;
    this.#next = bridge.address + 1;
  }

  /** An address that nobody has. Throws where there is none. 2013: IPAllocator.Acquire */
  acquire(): number {
    const { first, last } = networkRange(this.#bridge);
    for (let tries = last - first + 1; tries > 0; tries--) {
      // Neither the network's own address nor that of broadcasts: from the last but one to the second.
      if (this.#next >= last || this.#next <= first) this.#next = first + 1;
      const address = this.#next++;
      if (address < last && address !== this.#bridge.address && !this.#taken.has(address)) {
        this.#taken.add(address);
        return address;
      }
    }
    throw new Error(`Cannot give the container an address: all of ${formatCidr(this.#bridge)} are in use`);
  }

  /** Puts an address on record that a running container has. */
  claim(address: number): void {
    this.#taken.add(address);
  }

  /** Gives an address back. 2013: IPAllocator.Release */
  release(address: number): void {
    this.#taken.delete(address);
  }
}
