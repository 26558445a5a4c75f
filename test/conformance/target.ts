// The daemon that cases are played against: one of anybody's, or one of our own.

import { spawn } from 'node:child_process';
import type { Case, Need } from './case.js';
import { encode } from './bytes.js';
import { exchange, type Address } from './exchange.js';
import type { UsageForm } from './expectations/usage.js';

/** What is known of a daemon. */
export interface Target {
  readonly tcp: Address;
  readonly http: Address;
  /** its data directory, where this process can look into it */
  readonly root?: string | undefined;
  /** stops it and starts it again on the same data */
  readonly restart?: (() => Promise<void>) | undefined;
  /** the addresses of its containers can be reached from here */
  readonly hasNetwork: boolean;
  /** it can send a container SIGTERM */
  readonly hasTerm: boolean;
  readonly usage: UsageForm;
  /** how long a call may take that says nothing else of it */
  readonly timeoutMs: number;
}

const RESTART_MS = 60_000;
const BACK_MS = 30_000;
const POLL_MS = 50;

/** A 2013 call to it: the whole reply. */
export function call(
  target: Target,
  args: string[],
  input: Buffer = Buffer.of(),
  timeoutMs = target.timeoutMs,
): Promise<Buffer> {
  return exchange(target.tcp, Buffer.concat([callLine(args), input]), { timeoutMs });
}

/** The line that a call begins with. All in ASCII, so that half of a surrogate pair can be sent, too. */
export function callLine(args: string[]): Buffer {
  const escaped = JSON.stringify(args).replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return encode(`${escaped}\n`);
}

/** What of the needs of a case this daemon does not offer. */
export function missingNeeds(target: Target, { needs = [] }: Case): Need[] {
  const offers: Record<Need, boolean> = {
    root: target.root !== undefined,
    restart: target.restart !== undefined,
    net: target.hasNetwork,
    term: target.hasTerm,
  };
  return needs.filter((need) => !offers[need]);
}

/** Restarts it and waits until it answers. */
export async function restart(target: Target): Promise<void> {
  await target.restart?.();
  const deadline = performance.now() + BACK_MS;
  for (;;) {
    try {
      await call(target, ['ps', '-q']);
      return;
    } catch (error) {
      if (performance.now() > deadline)
        throw new Error('The daemon did not come back after a restart', { cause: error });
      await pause(POLL_MS);
    }
  }
}

/** A restart by a command of the user's. */
export function restartBy(command: string): () => Promise<void> {
  return () =>
    new Promise((resolve, reject) => {
      const child = spawn('sh', ['-c', command], { stdio: 'ignore', timeout: RESTART_MS });
      child.once('error', reject);
      // not `close`: what it leaves running may hold on to what it inherited
      child.once('exit', (status, signal) => {
        if (status === 0) resolve();
        else reject(new Error(`Cannot restart the daemon by "${command}": it ended with ${String(signal ?? status)}`));
      });
    });
}

/** The time between two looks at something that nobody announces, or the time that a case says. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
