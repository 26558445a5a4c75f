// The record of a fresh copy: each name with what cannot be set back by whoever changes the file behind it.
//
// One record a name, fields separated by blanks, the path last, ended by NUL. Paths are bytes (latin1 here).

import { readFileSync, writeFileSync, type BigIntStats } from 'node:fs';
import { walkTree } from '../archive/walk-tree.js';

/** What a name of the fresh copy was. */
export interface Recorded {
  /** the inode and when it was made: another one may get the number of one that is gone */
  identity: string;
  /** when anything about it was last changed; nobody can set that */
  changedNs: string;
  links: number;
  /** mode, owner, size, and time of the content */
  looks: string;
  isDirectory: boolean;
}

/** Records the tree at `rootfs` in the file `manifest`. */
export function writeManifest(rootfs: string, manifest: string): void {
  const records: string[] = [];
  for (const { path, stat } of walkTree(rootfs, 'plain')) {
    const { identity, changedNs, links, looks, isDirectory } = record(stat);
    records.push(`${identity} ${changedNs} ${links} ${looks} ${isDirectory ? 'd' : '-'} ${path}\0`);
  }
  writeFileSync(manifest, records.join(''), { encoding: 'latin1', flush: true });
}

/** The records by path. */
export function readManifest(manifest: string): Map<string, Recorded> {
  const records = new Map<string, Recorded>();
  for (const line of readFileSync(manifest, 'latin1').split('\0')) {
    // A path may hold blanks, the fields before it do not.
    const [, identity, changedNs, links, looks, type, path] = /^(\S+) (\S+) (\S+) (\S+) (\S) (.*)$/s.exec(line) ?? [];
    if (identity === undefined || changedNs === undefined || looks === undefined || path === undefined) continue;
    records.set(path, { identity, changedNs, links: Number(links), looks, isDirectory: type === 'd' });
  }
  return records;
}

/** What `stat` says, as it is recorded. */
export function record(stat: BigIntStats): Recorded {
  const { ino, birthtimeNs, ctimeNs, mtimeNs, mode, uid, gid, size, rdev } = stat;
  return {
    identity: `${ino}@${birthtimeNs}`,
    changedNs: ctimeNs.toString(),
    links: Number(stat.nlink),
    looks: [mode, uid, gid, size, rdev, mtimeNs].join(','),
    isDirectory: stat.isDirectory(),
  };
}
