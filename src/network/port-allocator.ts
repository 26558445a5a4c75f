// Which ports of the host are published, and for whom. A public port goes to one container at a time: the one that was
// asked for, or, where none was, the next free one of a range.
//
// 2013: network.go, PortAllocator

import { hasCode } from '../linux/libc.js';
import { portOwner } from '../linux/port-owner.js';
import { errorMessage } from '../util/errors.js';
import { holdPort, type HeldPort } from './held-port.js';
import type { PortBinding, PortSpec } from './port-spec.js';

/** The ports that the daemon gives: those that no protocol is registered for. */
const FIRST_GIVEN = 49_153;
const LAST_GIVEN = 65_535;

/** A port that is taken: `binding` says which. */
interface Allocation {
  readonly binding: PortBinding;
  /** the id of the container that has it */
  readonly owner: string;
  held: HeldPort | undefined;
}

/** See the head of the file. */
export class PortAllocator {
  readonly #allocations = new Set<Allocation>();
  #next = FIRST_GIVEN;

  /** Takes all of `specs` for a container, or none. Rejects with the port, why, and who has it. 2013: PortAllocator.Acquire */
  async acquire(owner: string, specs: readonly PortSpec[]): Promise<PortBinding[]> {
    const bindings: PortBinding[] = [];
    try {
      // First those that were asked for: what is given must not be one of them.
      for (const spec of [...specs].sort((a, b) => Number(b.publicPort !== 0) - Number(a.publicPort !== 0))) {
        bindings.push(spec.publicPort === 0 ? await this.#give(owner, spec) : await this.#take(owner, spec));
      }
      return bindings;
    } catch (error) {
      this.release(bindings);
      throw error;
    }
  }

  /** Puts ports on record that a running container has. What keeps one from being held is told to `log`: it works all the same. */
  async claim(owner: string, bindings: readonly PortBinding[], log: (line: string) => void): Promise<void> {
    for (const binding of bindings) {
      const { protocol, hostAddress, publicPort } = binding;
      const allocation: Allocation = { binding, owner, held: undefined };
      this.#allocations.add(allocation);
      await holdPort(protocol, hostAddress, publicPort).then(
        (held) => (allocation.held = held),
        (error: unknown) => log(`container ${owner}: cannot hold port ${nameOf(binding)}: ${errorMessage(error)}`),
      );
    }
  }

  /** Gives back what `acquire` or `claim` was given. 2013: PortAllocator.Release */
  release(bindings: readonly PortBinding[]): void {
    for (const allocation of this.#allocations) {
      if (!bindings.includes(allocation.binding)) continue;
      this.#allocations.delete(allocation);
      allocation.held?.close();
    }
  }

  async #take(owner: string, binding: PortBinding): Promise<PortBinding> {
    const holder = this.#holderOf(binding);
    if (holder !== undefined) {
      const who = holder.owner === owner ? 'this container, which asks for it twice' : `container ${holder.owner}`;
      throw new Error(`Cannot publish port ${nameOf(binding)}: it is in use by ${who}`);
    }
    try {
      return await this.#hold(owner, { ...binding });
    } catch (error) {
      throw new Error(`Cannot publish port ${nameOf(binding)}: ${whyNot(binding, error)}`, { cause: error });
    }
  }

  async #give(owner: string, spec: PortSpec): Promise<PortBinding> {
    for (let tries = LAST_GIVEN - FIRST_GIVEN + 1; tries > 0; tries--) {
      const publicPort = this.#next;
      this.#next = publicPort === LAST_GIVEN ? FIRST_GIVEN : publicPort + 1;
      const binding = { ...spec, publicPort };
      if (this.#holderOf(binding) !== undefined) continue;
      try {
        return await this.#hold(owner, binding);
      } catch (error) {
        if (hasCode(error, 'EADDRINUSE')) continue; // another program has it
        throw new Error(`Cannot publish port ${spec.privatePort}: ${whyNot(binding, error)}`, { cause: error });
      }
    }
    const range = `${FIRST_GIVEN} to ${LAST_GIVEN}`;
    throw new Error(`Cannot publish port ${spec.privatePort}: all ports from ${range} are in use`);
  }

  /** On record before the first wait, so that two callers never get the same one. */
  async #hold(owner: string, binding: PortBinding): Promise<PortBinding> {
    const allocation: Allocation = { binding, owner, held: undefined };
    this.#allocations.add(allocation);
    try {
      allocation.held = await holdPort(binding.protocol, binding.hostAddress, binding.publicPort);
      return binding;
    } catch (error) {
      this.#allocations.delete(allocation);
      throw error;
    }
  }

  /** Who has the port on an address that `wanted` would have too. */
  #holderOf({ protocol, publicPort, hostAddress }: PortBinding): Allocation | undefined {
    for (const allocation of this.#allocations) {
      const { binding } = allocation;
      const isSamePort = binding.protocol === protocol && binding.publicPort === publicPort;
      const isEverywhere = binding.hostAddress === '' || hostAddress === '';
      if (isSamePort && (isEverywhere || binding.hostAddress === hostAddress)) return allocation;
    }
    return undefined;
  }
}

function nameOf({ hostAddress, publicPort, protocol }: PortBinding): string {
  return `${hostAddress === '' ? '' : `${hostAddress}:`}${publicPort}/${protocol}`;
}

function whyNot({ protocol, publicPort, hostAddress }: PortBinding, error: unknown): string {
  if (hasCode(error, 'EADDRNOTAVAIL')) return `${hostAddress} is no address of this machine`;
  if (!hasCode(error, 'EADDRINUSE')) return errorMessage(error);
  const owner = portOwner(protocol, publicPort, hostAddress || undefined);
  return owner === undefined
    ? 'it is in use by another process'
    : `it is in use by process ${owner.pid} (${owner.command})`;
}
