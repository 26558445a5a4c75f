// Freezing the run of a container, so that it is thawed again whatever becomes of this daemon.
//
// `Run` calls it. A file in the container's folder says that a daemon has it frozen: where that daemon is killed, the
// next one thaws it. What a person has frozen (lxc-freeze) has no such file, and stays frozen.

import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isProcessAlive } from '../linux/process.js';
import { containerInit } from '../lxc/container-init.js';
import { Freezer } from '../lxc/freezer.js';
import { writeFileUnsynced } from '../util/atomic-file.js';
import { step } from '../util/steps.js';

/** A container, and its lxc-start: undefined where that has ended. */
export interface FreezeSubject {
  readonly id: string;
  readonly root: string;
  readonly pid: number | undefined;
}

/**
 * Freezes all its processes. Resolves with what lets them go on, which does nothing where somebody else has frozen it; with
 * undefined where it is ending. What thaws it is also in `atExit` meanwhile.
 */
export async function freezeRun(subject: FreezeSubject, atExit: Set<() => void>): Promise<(() => void) | undefined> {
  const init = initOf(subject);
  if (init === undefined) return undefined;
  const freezer = Freezer.of(subject.id, init);
  if (freezer === undefined) {
    if (!isProcessAlive(init)) return undefined;
    throw new Error(`Cannot freeze container ${subject.id}: its cgroup has no freezer that is mounted here`);
  }
  const path = frozenPath(subject);
  const forget = (): void => {
    atExit.delete(thaw);
    rmSync(path, { force: true });
  };
  const thaw = (): void => {
    freezer.thaw();
    forget();
  };
  // Both before it is frozen: this daemon may end at any moment.
  atExit.add(thaw);
  writeFileUnsynced(path, '', 0o644);
  let isOurs = false;
  try {
    isOurs = await freezer.freeze();
  } finally {
    if (!isOurs) forget();
  }
  step('freeze', 'server/server.go, Server.CmdCommit', () => ({ id: subject.id, isOurs }));
  return isOurs ? thaw : () => undefined;
}

/** Lets the container go on, whoever has frozen it. */
export function thawRun(subject: FreezeSubject): void {
  const init = initOf(subject);
  // lxc-start may be gone and have left frozen processes, which cannot even die.
  const freezer = init === undefined ? Freezer.named(subject.id) : Freezer.of(subject.id, init);
  freezer?.thaw();
}

/** Thaws what a daemon had frozen when it was killed. */
export function thawLeftover(subject: FreezeSubject): void {
  const path = frozenPath(subject);
  if (!existsSync(path)) return;
  thawRun(subject);
  rmSync(path);
}

function initOf({ pid }: FreezeSubject): number | undefined {
  return pid === undefined ? undefined : containerInit(pid);
}

function frozenPath({ root }: FreezeSubject): string {
  return join(root, 'frozen');
}
