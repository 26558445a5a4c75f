// Freezing a container: all its processes, those in cgroups of its own making too, stand still until they are thawed. The
// kernel does it to a cgroup, by the freezer of cgroup v1 or by `cgroup.freeze` of v2.
//
// `Container.whileFrozen` calls it, so that a commit reads files that nobody writes.
//
// The rule that must hold: only the container's own cgroup is ever frozen. On some machines LXC makes it below the
// daemon's own, so it is looked up from a process in the container, and recognised by the container's id.
//
// 2013: none; a commit read what the program was still writing

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../linux/libc.js';
import { errorMessage } from '../util/errors.js';

const POLL_MS = 1;
/** After so many looks it is tried again. */
const POLLS_A_TRY = 50;
/** How long processes may take to stand still. */
const FREEZE_TIMEOUT_MS = 10_000;

/** How one version of cgroups is asked: files in the cgroup, and what stands in them. */
interface FreezerFiles {
  /** written to freeze and to thaw */
  readonly ask: string;
  readonly freeze: string;
  readonly thaw: string;
  /** whether this cgroup itself is asked to be frozen, not only one above it */
  readonly asked: string;
  /** whether it is */
  readonly state: string;
  readonly isFrozen: RegExp;
}

const V1: FreezerFiles = {
  ask: 'freezer.state',
  freeze: 'FROZEN',
  thaw: 'THAWED',
  asked: 'freezer.self_freezing',
  state: 'freezer.state',
  isFrozen: /^FROZEN$/m,
};
const V2: FreezerFiles = {
  ask: 'cgroup.freeze',
  freeze: '1',
  thaw: '0',
  asked: 'cgroup.freeze',
  state: 'cgroup.events',
  isFrozen: /^frozen 1$/m,
};

/** The freezer of one container. */
export class Freezer {
  readonly #id: string;
  readonly #cgroup: string;
  readonly #files: FreezerFiles;

  /** That of the cgroup in the folder `cgroup`, of v2 with `isUnified`. */
  constructor(id: string, cgroup: string, isUnified: boolean) {
    this.#id = id;
    this.#cgroup = cgroup;
    this.#files = isUnified ? V2 : V1;
  }

  /**
   * The freezer of the container `id`, `pid` being a process in it. Undefined where there is none: the process is ending,
   * the container has no cgroup of its own, or no freezer is mounted.
   */
  static of(id: string, pid: number): Freezer | undefined {
    const cgroups = readIfThere(`/proc/${pid}/cgroup`);
    return cgroups === undefined ? undefined : Freezer.#at(id, cgroups);
  }

  /** The same, for a container whose lxc-start has ended, by the names that LXC gives; undefined as above. */
  static named(id: string): Freezer | undefined {
    const own = readFileSync('/proc/self/cgroup', 'utf8');
    return (
      Freezer.#at(id, own.replace(/^(\d+:[^:]*:).*$/gm, `$1/lxc.payload.${id}`)) ??
      Freezer.#at(id, own.replace(/\/?$/gm, `/lxc.payload.${id}`))
    );
  }

  static #at(id: string, cgroups: string): Freezer | undefined {
    const found = findCgroup(id, cgroups, readFileSync('/proc/self/mountinfo', 'utf8'));
    const freezer = found && new Freezer(id, found.folder, found.isUnified);
    return freezer?.isThere === true ? freezer : undefined;
  }

  /** False where the cgroup has gone, or has no freezer. */
  get isThere(): boolean {
    return this.#read(this.#files.asked) !== undefined;
  }

  /**
   * Freezes the container, and resolves when all its processes stand still. False where it is not ours to thaw: somebody
   * else has frozen it, or it has ended. Rejects, with everything thawed, where something does not stand still.
   */
  async freeze(): Promise<boolean> {
    const { ask, freeze, thaw, asked, state, isFrozen } = this.#files;
    const isOurs = this.#read(asked)?.trim() === '0';
    try {
      if (isOurs) this.#write(ask, freeze);
      const deadline = performance.now() + FREEZE_TIMEOUT_MS;
      let polls = 0;
      for (let now = this.#read(state); now !== undefined && !isFrozen.test(now); now = this.#read(state)) {
        if (performance.now() > deadline)
          throw new Error(`Cannot freeze container ${this.#id}: it does not stand still`);
        await sleep(POLL_MS);
        // A process that just then becomes two can keep v1 from ever getting there. Another start helps.
        if (isOurs && ++polls % POLLS_A_TRY === 0) {
          this.#write(ask, thaw);
          this.#write(ask, freeze);
        }
      }
      return isOurs;
    } catch (error) {
      if (isOurs) this.thaw();
      throw error;
    }
  }

  /** Lets it go on, whoever froze it. At once: this is also done by a process that is about to end. */
  thaw(): void {
    this.#write(this.#files.ask, this.#files.thaw);
  }

  #read(name: string): string | undefined {
    return readIfThere(join(this.#cgroup, name));
  }

  #write(name: string, text: string): void {
    try {
      writeFileSync(join(this.#cgroup, name), text, { flag: 'r+' });
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENODEV')) return; // the container has ended
      throw new Error(`Cannot write ${text} to ${join(this.#cgroup, name)}: ${errorMessage(error)}`, { cause: error });
    }
  }
}

/**
 * The folder of the container's own cgroup, by the texts of /proc/PID/cgroup and of our mountinfo. Where cgroup v1 has the
 * freezer, v2 does not count. Undefined where it has none of its own, or that is not mounted. Exported for its test.
 */
export function findCgroup(
  id: string,
  cgroups: string,
  mountinfo: string,
): { folder: string; isUnified: boolean } | undefined {
  const lines = cgroups.split('\n').map((line) => /^\d+:([^:]*):(.*)$/.exec(line) ?? []);
  const v1 = lines.find(([, controllers]) => controllers?.split(',').includes('freezer'))?.[2];
  const v2 = lines.find(([, controllers]) => controllers === '')?.[2];
  const own = ownCgroup(v1 ?? v2 ?? '', id);
  if (own === undefined) return undefined;
  for (const line of mountinfo.split('\n')) {
    const [, root = '', path = '', type, options = ''] =
      /^\d+ \d+ \S+ (\S+) (\S+) .* - (\S+) \S+ (\S+)$/.exec(line) ?? [];
    const isTree = v1 === undefined ? type === 'cgroup2' : type === 'cgroup' && options.split(',').includes('freezer');
    const top = unescapeMount(root).replace(/\/$/, '');
    if (isTree && own.startsWith(`${top}/`)) {
      return { folder: join(unescapeMount(path), own.slice(top.length)), isUnified: v1 === undefined };
    }
  }
  return undefined;
}

/** The beginning of a cgroup's path that ends with the container's own: `lxc.payload.ID`, in old versions `lxc/ID`. */
function ownCgroup(path: string, id: string): string | undefined {
  const parts = path.split('/');
  // LXC adds `-1` and so on where a cgroup of that name is there already.
  const at = parts.findIndex(
    (part) => part === id || part === `lxc.payload.${id}` || part.startsWith(`lxc.payload.${id}-`),
  );
  return at < 0 ? undefined : parts.slice(0, at + 1).join('/');
}

/** Spaces and the like are written as `\040` in mountinfo. */
function unescapeMount(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)));
}

/** Undefined where the process, or the cgroup, has gone. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'ENODEV')) return undefined;
    throw error;
  }
}
