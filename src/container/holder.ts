// A process that does nothing but hold a container's streams open, so that they outlive the daemon.
//
// A FIFO loses its content with the last process that has it open, and a terminal hangs up. While no daemon runs, the
// holder keeps both: output that the program prints meanwhile, or printed just before it ended, waits for the next
// daemon; stdin of an `-i` container stays open; a terminal's master can be taken over from it by pidfd_getfd(2).
//
// It is `sleep infinity` with the streams as descriptors 0, 1 and 2, in a session of its own. A later daemon knows it by
// the FIFO behind its descriptor 1, which lies in the container's folder.

import { readdirSync, readlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { hasCode } from '../linux/libc.js';
import type { Poller } from '../linux/poller.js';
import { processExit } from '../linux/process-exit.js';
import {
  canBeOfDaemon,
  pidfdGetfd,
  pidfdSendSignal,
  processArguments,
  processStartTicks,
  withPidfd,
} from '../linux/process.js';
import { spawnProgram } from '../linux/spawn.js';
import { errorMessage } from '../util/errors.js';

const ARGUMENTS = ['sleep', 'infinity'];

/** What a holder holds: at 0 the write end of stdin or a pty master, at 1 and 2 FIFOs of the output. */
export type HeldStreams = readonly (number | 'ignore')[];

/** A holder process by pid. */
export class Holder {
  readonly #pid: number;
  /** what its end is waited for with, where it is a child of this process */
  readonly #poller: Poller | undefined;
  /** where it is none: another process may have its pid by now */
  readonly #startTicks: number | undefined;

  private constructor(pid: number, { poller, startTicks }: { poller?: Poller; startTicks?: number }) {
    this.#pid = pid;
    this.#poller = poller;
    this.#startTicks = startTicks;
  }

  /** Starts one. Rejects where the process cannot be started. */
  static async start(streams: HeldStreams, poller: Poller): Promise<Holder> {
    try {
      return new Holder(await spawnProgram({ args: ARGUMENTS, env: {}, stdio: streams }), { poller });
    } catch (cause) {
      throw new Error(`Cannot start ${ARGUMENTS.join(' ')}: ${errorMessage(cause)}`, { cause });
    }
  }

  /**
   * The holders that earlier daemons left, by the folder of their container. Where a daemon was killed as it put one in
   * place of another, to pass the end of stdin on, there are two: the one with stdin is ended.
   */
  static find(): Map<string, Holder> {
    const found = new Map<string, Holder>();
    for (const name of readdirSync('/proc')) {
      if (!/^\d+$/.test(name) || processArguments(Number(name)).join(' ') !== ARGUMENTS.join(' ')) continue;
      const output = linkOf(`/proc/${name}/fd/1`);
      if (output === undefined || !canBeOfDaemon(Number(name))) continue; // a container may run the same program
      const startTicks = processStartTicks(Number(name));
      if (startTicks === undefined) continue;
      const folder = dirname(output);
      const [holder, other] = [new Holder(Number(name), { startTicks }), found.get(folder)];
      if (other === undefined || other.holdsStdin) found.set(folder, holder);
      if (other !== undefined) (other.holdsStdin ? other : holder).release();
    }
    return found;
  }

  /** Copies a held stream into this process. The caller closes it. */
  take(fd: 0 | 1 | 2): number {
    const copy = this.#withHandle((pidfd) => takeFrom(pidfd, fd));
    if (copy === undefined) throw new Error(`Cannot take over stream ${fd}: its holder ${this.#pid} has ended`);
    return copy;
  }

  /** Whether the program may still be sent input: else it has been sent the end of it. */
  get holdsStdin(): boolean {
    return linkOf(`/proc/${this.#pid}/fd/0`) !== '/dev/null';
  }

  /** Ends it, and with it what only it held. */
  release(): void {
    this.#withHandle((pidfd) => pidfdSendSignal(pidfd, 'SIGKILL'));
    // Nobody waits for that: it is to leave nothing in the process table, and else does so when this process ends.
    if (this.#poller !== undefined) processExit(this.#poller, this.#pid).catch(() => undefined);
  }

  /** Undefined where it has ended. The handle is taken before the check that it is still the one: it stays so. */
  #withHandle<T>(body: (pidfd: number) => T): T | undefined {
    const isIt = (): boolean => this.#startTicks === undefined || processStartTicks(this.#pid) === this.#startTicks;
    return withPidfd(this.#pid, (pidfd) => (isIt() ? body(pidfd) : undefined));
  }
}

/** Undefined where the process has ended and only waits for its parent to notice. */
function takeFrom(pidfd: number, fd: number): number | undefined {
  try {
    return pidfdGetfd(pidfd, fd);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES')) return undefined; // it ended in between
    throw error;
  }
}
