// What a folder holds, in a form that two folders can be compared in: all that an archive says about a file, and no more.

import { createHash } from 'node:crypto';
import { lstatSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { lreadxattrs } from '../../src/linux/xattr.js';

export interface TreeOptions {
  /** leave the fraction of the seconds out, for formats that have none */
  wholeSeconds?: boolean;
  /** leave extended attributes out, for formats that have none */
  withoutXattrs?: boolean;
}

/** A line for each file below `folder` and for itself, by name (one character a byte). */
export function treeOf(folder: string, options: TreeOptions = {}): Record<string, string> {
  const lines: Record<string, string> = {};
  const firstNames = new Map<bigint, string>();
  const visit = (path: Buffer, name: string): void => {
    const stats = lstatSync(path, { bigint: true });
    const facts = [
      stats.mode.toString(8),
      `${stats.uid}:${stats.gid}`,
      options.wholeSeconds === true ? stats.mtimeNs / 1_000_000_000n : stats.mtimeNs,
    ];
    if (!stats.isDirectory()) {
      facts.push(`size ${stats.size}`, `device ${stats.rdev}`, `same as ${firstNames.get(stats.ino) ?? name}`);
      firstNames.set(stats.ino, firstNames.get(stats.ino) ?? name);
    }
    if (stats.isSymbolicLink()) facts.push(readlinkSync(path, { encoding: 'buffer' }).toString('hex'));
    if (stats.isFile()) facts.push(createHash('sha256').update(readFileSync(path)).digest('hex'));
    if (options.withoutXattrs !== true) {
      const xattrs = [...lreadxattrs(path)].map(([key, value]) => `${key}=${value.toString('hex')}`);
      facts.push(...xattrs.sort());
    }
    lines[name] = facts.join(' ');
    if (!stats.isDirectory()) return;
    for (const child of readdirSync(path, { encoding: 'buffer' }).sort((a, b) => a.compare(b))) {
      visit(Buffer.concat([path, Buffer.from('/'), child]), `${name}/${child.toString('latin1')}`);
    }
  };
  visit(Buffer.from(folder), '.');
  return lines;
}
