// Taking a damaged file out of the way without losing it: it stays in its folder under a name with the date, whatever it
// is, and no earlier one is overwritten.
//
// 2013: none

import { linkSync, lstatSync, readdirSync, renameSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { syncPath } from './atomic-file.js';

const MARK = '.damaged';
/** As an older daemon called it, or with the date, and a number where there is one of the same second already. */
const ASIDE = /^(.+)\.damaged(?:-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(?:-\d+)?)?$/;

/** Gives what is at `path` such a name. Resolves with its new path. */
export async function setAside(path: string): Promise<string> {
  const aside = freePath(path);
  renameSync(path, aside);
  await syncPath(dirname(path));
  return aside;
}

/**
 * Keeps a regular file under such a name as it is now, also when `path` is replaced. It is a second name of the same file:
 * that takes no room, so a full disk does not lose it. Resolves with the new path.
 */
export async function keepAside(path: string): Promise<string> {
  const aside = freePath(path);
  linkSync(path, aside);
  await syncPath(dirname(path));
  return aside;
}

/** The name of what was set aside under this one; undefined for any other name. */
export function nameBeforeAside(name: string): string | undefined {
  return ASIDE.exec(name)?.[1];
}

/** The paths of all that was set aside of `path`, sorted. */
export function findAside(path: string): string[] {
  const folder = dirname(path);
  const names = readdirSync(folder).filter((name) => nameBeforeAside(name) === basename(path));
  return names.sort().map((name) => join(folder, name));
}

/** Whether something, of whatever kind, has that path. */
export function isPathTaken(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** A path that nothing has yet. */
export function freePath(path: string): string {
  const date = new Date().toISOString().replace(/\.\d+Z$/, 'Z').replaceAll(':', '-'); // prettier-ignore
  const first = `${path}${MARK}-${date}`;
  let free = first;
  for (let count = 2; isPathTaken(free); count++) free = `${first}-${count}`;
  return free;
}
