// Whether a cgroup is one of a container: the payload of an LXC, as LXC calls what is not its own monitor.
//
// `server/callers.ts` asks for callers over loopback: a container that shares the host's network has the host's loopback,
// and its root is the host's.
//
// 2013: none

import { readFileSync } from 'node:fs';
import { cgroupPath } from '../linux/cgroup-path.js';
import { readMounts } from '../linux/mountinfo.js';

/** How many answers are remembered. An id is never given to another cgroup. */
const MAX_KNOWN = 1_000;
/** How versions of LXC call it: `lxc.payload.ID`, `lxc.payload/ID`, and `lxc/ID` before 3.1. */
const PAYLOAD = /\/lxc(?:\.payload[./]|\/)[^/]+/g;

/** Tells the cgroups of containers from others. */
export class Payloads {
  readonly #mount = readMounts().find(({ type }) => type === 'cgroup2')?.path;
  /** those that the daemon itself is in, where it runs in an LXC */
  readonly #own = payloadsIn(readFileSync('/proc/self/cgroup', 'utf8'));
  readonly #known = new Map<bigint, boolean>();

  /** Whether the cgroup (v2) of that id is a container's. False where the machine has no such cgroups, or does not tell. */
  includes(id: bigint): boolean {
    const known = this.#known.get(id);
    if (known !== undefined || this.#mount === undefined) return known ?? false;
    const path = cgroupPath(this.#mount, id);
    if (path === undefined) return false; // it has been removed: no process is in it
    const isPayload = payloadsIn(path).some((payload) => !this.#own.includes(payload));
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(id, isPayload);
    return isPayload;
  }
}

function payloadsIn(text: string): string[] {
  return text.match(PAYLOAD) ?? [];
}
