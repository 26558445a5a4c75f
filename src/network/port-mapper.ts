// Which ports of the host lead to which containers now. Changes that come together are written together: one call of
// iptables for as many containers as start in that moment.
//
// A write that fails leaves behind what nobody knows: rules for a container that has ended, perhaps. It is tried again until
// one has worked.
//
// 2013: network.go, PortMapper

import { errorMessage } from '../util/errors.js';
import { forgetUdp, forgetUdpElsewhere } from './conntrack.js';
import type { Firewall, PortMapping } from './firewall.js';

const RETRY_MS = 1_000;

/** See the head of the file. */
export class PortMapper {
  readonly #firewall: Pick<Firewall, 'publish'>;
  readonly #log: (line: string) => void;
  readonly #mappings = new Set<PortMapping>();
  /** the last write that has begun, and the one that waits for its end */
  #writing: Promise<unknown> = Promise.resolve();
  #waiting: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;

  /** `log` is told what keeps the kernel from forgetting old connections. */
  constructor(firewall: Pick<Firewall, 'publish'>, log: (line: string) => void) {
    this.#firewall = firewall;
    this.#log = log;
  }

  /** Leads these ports to their container. Rejects, and leads them nowhere, where the machine cannot do it. 2013: PortMapper.Map */
  async map(mappings: readonly PortMapping[]): Promise<void> {
    if (mappings.length === 0) return;
    for (const mapping of mappings) this.#mappings.add(mapping);
    try {
      await this.#write();
    } catch (error) {
      for (const mapping of mappings) this.#mappings.delete(mapping);
      throw error;
    }
    await this.#forget(mappings, forgetUdpElsewhere);
  }

  /** Leads these ports, given as they were given to `map`, nowhere any more. 2013: PortMapper.Unmap */
  async unmap(mappings: readonly PortMapping[]): Promise<void> {
    if (mappings.length === 0) return;
    for (const mapping of mappings) this.#mappings.delete(mapping);
    await this.#write();
    await this.#forget(mappings, ({ containerAddress }) => forgetUdp(containerAddress));
  }

  /** Puts mappings on record that an earlier daemon wrote. */
  claim(mappings: readonly PortMapping[]): void {
    for (const mapping of mappings) this.#mappings.add(mapping);
  }

  /** Writes what was claimed, and takes away what else an earlier daemon wrote. */
  async ready(): Promise<void> {
    await this.#write();
    await this.#forget([...this.#mappings], forgetUdpElsewhere);
  }

  /** Writes what is mapped now. A write that waits takes everything that is changed until it begins. */
  #write(): Promise<void> {
    this.#waiting ??= this.#writing.then(() => {
      this.#waiting = undefined;
      clearTimeout(this.#retry);
      const written = this.#firewall.publish([...this.#mappings]);
      // Whoever waits for it is told; a retry that fails comes here again.
      this.#writing = written.catch(() => {
        this.#retry = setTimeout(() => void this.#write().catch(() => undefined), RETRY_MS).unref();
      });
      return written;
    });
    return this.#waiting;
  }

  /** A UDP client that goes on sending from its port is led by what the kernel has on record, not by the rules. */
  async #forget(mappings: readonly PortMapping[], forget: (mapping: PortMapping) => Promise<number>): Promise<void> {
    const udp = mappings.filter(({ protocol }) => protocol === 'udp');
    await Promise.all(udp.map(forget)).catch((error: unknown) => this.#log(errorMessage(error)));
  }
}
