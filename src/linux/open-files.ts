// How many files this process may have open (RLIMIT_NOFILE), and whether some of them are left. The daemon begins nothing
// new with the last ones: what is under way needs them, to see the end of a container and to put it on record.
//
// Where there are none left all the same, what nobody can be told of waits until there is one.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from './libc.js';

/** How many of the last open files no new connection is taken with, and no container started. */
const KEPT_FROM_CONNECTIONS = 64;
const KEPT_FROM_STARTS = 128;
/** Where there are few altogether, this part of them is kept instead. */
const LARGEST_PART = 1 / 8;
/** How long to wait before it is tried again, in milliseconds. */
const RETRY_MS = 200;

/** How many files this process may have open. Node has raised the limit as far as it may. */
export function openFilesLimit(): number {
  const [, limit = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return limit === '' ? Infinity : Number(limit);
}

/** Whether one more connection may be taken. */
export function hasFilesForConnection(limit: number): boolean {
  return hasFewerOpenFiles(limit - Math.min(KEPT_FROM_CONNECTIONS, limit * LARGEST_PART));
}

/** Throws where no container should be started any more: it would take what others need to end. */
export function checkFilesForStart(): void {
  const limit = openFilesLimit();
  if (hasFewerOpenFiles(limit - Math.min(KEPT_FROM_STARTS, 2 * limit * LARGEST_PART))) return;
  throw new Error(
    `Cannot start: too many open files; the daemon may have ${limit} (ulimit -n), and keeps the last for what runs already`,
  );
}

/** A new file gets the lowest number that is free. */
function hasFewerOpenFiles(most: number): boolean {
  try {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd < most;
  } catch (error) {
    if (isOutOfFiles(error)) return false;
    throw error;
  }
}

/** Does `body` again and again while the process, or the machine, has no open file left for it. */
export async function onceFilesAreLeft<T>(body: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await body();
    } catch (error) {
      if (!isOutOfFiles(error)) throw error;
      await sleep(RETRY_MS);
    }
  }
}

function isOutOfFiles(error: unknown): boolean {
  return hasCode(error, 'EMFILE', 'ENFILE');
}
