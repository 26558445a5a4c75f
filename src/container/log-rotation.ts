// The files of a bounded log: at `--log-max` a container's log has two generations, each of at most half of it. The older
// one has `.1` behind its names. Where the newer one is full, the older one is removed, and the newer one takes its place.
//
//   1. remove the older ones   ID-order.log.1, then the two streams'
//   2. make empty files        ID-stdout.log.new, ID-stderr.log.new, ID-order.log.new
//   3. rename                  ID-order.log to ID-order.log.1, then the two streams'
//   4. rename the empty ones   the order log last
//
// A daemon may be killed between any two of these: the order logs tell how far it got, as they go first in 1 and 3 and
// last in 4. `recoverRotation` goes on from there. Called by `LogStore` alone, never while something is appended.
//
// 2013: none. The logs of March grew without a bound.

import { closeSync, existsSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { hasCode } from '../linux/libc.js';
import type { OpenLog } from './log-records.js';

/** The paths of one generation. */
export interface LogPaths {
  readonly stdout: string;
  readonly stderr: string;
  readonly order: string;
}

const STREAMS = ['stdout', 'stderr'] as const;
const NAMES = ['order', ...STREAMS] as const;
const LOG_MODE = 0o600;

/** The paths of the log of a container in its folder `root`. */
export function logPaths(root: string, id: string): LogPaths {
  const path = (stream: string): string => join(root, `${id}-${stream}.log`);
  return { stdout: path('stdout'), stderr: path('stderr'), order: path('order') };
}

/** The paths of its older generation. */
export function olderPaths(paths: LogPaths): LogPaths {
  return withEnding(paths, '.1');
}

/** Opens the three files for reading and writing, with more `flags`. Leaves none open where one cannot be. */
export function openLog(paths: LogPaths, flags: number): OpenLog {
  const opened: number[] = [];
  const open = (path: string): number => {
    const fd = openSync(path, flags, LOG_MODE);
    opened.push(fd);
    return fd;
  };
  try {
    return { stdout: open(paths.stdout), stderr: open(paths.stderr), order: open(paths.order) };
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}

/** Step 1. The space is free at once, though a reader has the files open. */
export async function removeOlder(paths: LogPaths): Promise<void> {
  const older = olderPaths(paths);
  for (const name of NAMES) {
    await truncate(older[name]).catch((error: unknown) => {
      if (!hasCode(error, 'ENOENT')) throw error; // removed by hand: it is what we want
    });
    await rm(older[name], { force: true });
  }
}

/** Steps 2 to 4. Returns the new files, open. Where it throws, the same call goes on with what is left to do. */
export function rotate(paths: LogPaths, flags: number): OpenLog {
  const older = olderPaths(paths);
  const fresh = withEnding(paths, '.new');
  const files = openLog(fresh, flags);
  try {
    if (!existsSync(older.order)) renameSync(paths.order, older.order);
    renameStreams(paths, older);
    for (const name of [...STREAMS, 'order'] as const) renameSync(fresh[name], paths[name]);
    return files;
  } catch (error) {
    for (const name of NAMES) closeSync(files[name]);
    throw error;
  }
}

/** Brings a rotation to its end that a killed daemon began. True where there is an older generation then. */
export function recoverRotation(paths: LogPaths): boolean {
  const older = olderPaths(paths);
  const fresh = withEnding(paths, '.new');
  for (const name of NAMES) removeIfThere(fresh[name]);
  // An order log that has its place is never empty.
  if ((statSync(older.order, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    for (const name of NAMES) removeIfThere(older[name]); // killed in step 1
    return false;
  }
  if (!existsSync(paths.order)) renameStreams(paths, older); // killed in step 3 or 4
  return true;
}

/** A stream that has an older file has been renamed: the older one of before is gone since step 1. */
function renameStreams(paths: LogPaths, older: LogPaths): void {
  for (const name of STREAMS) {
    if (!existsSync(older[name]) && existsSync(paths[name])) renameSync(paths[name], older[name]);
  }
}

function removeIfThere(path: string): void {
  if (existsSync(path)) rmSync(path, { force: true });
}

function withEnding({ stdout, stderr, order }: LogPaths, ending: string): LogPaths {
  return { stdout: stdout + ending, stderr: stderr + ending, order: order + ending };
}
