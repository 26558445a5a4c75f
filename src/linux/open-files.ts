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
/** For how long it is not looked again whether there is room, in milliseconds. */
const SURE_MS = 20;
/** How long to wait before it is tried again, in milliseconds. */
const RETRY_MS = 200;

/** How many files this process may have open. Node has raised the limit as far as it may. */
export function openFilesLimit(): number {
  const [, limit = ''] = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  return limit === '' ? Infinity : Number(limit);
}

/** Tells connection by connection whether it may be taken. A new one for each `limit` (`openFilesLimit`). */
export class FilesForConnections {
  readonly #most: number;
  /** how many more may be taken before it is looked again, and until when, as performance.now() has it */
  #sure = 0;
  #sureUntil = 0;

  constructor(limit: number) {
    this.#most = limit - Math.min(KEPT_FROM_CONNECTIONS, limit * LARGEST_PART);
  }

  /** Whether one more may be taken, which it then is. Thousands may come in one second: few of them are looked for. */
  take(): boolean {
    const now = performance.now();
    if (this.#sure > 0 && now < this.#sureUntil) {
      this.#sure--;
      return true;
    }
    const next = nextFileNumber();
    // The most part of the room is for what else may be opened until it is looked again.
    this.#sure = Math.floor((this.#most - next) * LARGEST_PART);
    this.#sureUntil = now + SURE_MS;
    return next < this.#most;
  }
}

/** Throws where no container should be started any more: it would take what others need to end. */
export function checkFilesForStart(): void {
  const limit = openFilesLimit();
  if (nextFileNumber() < limit - Math.min(KEPT_FROM_STARTS, 2 * limit * LARGEST_PART)) return;
  throw new Error(
    `Cannot start: too many open files; the daemon may have ${limit} (ulimit -n), and keeps the last for what runs already`,
  );
}

/** A new file gets the lowest number that is free. Infinity where there is none. */
function nextFileNumber(): number {
  try {
    const fd = openSync('/dev/null', 'r');
    closeSync(fd);
    return fd;
  } catch (error) {
    if (isOutOfFiles(error)) return Infinity;
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
