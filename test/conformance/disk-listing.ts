// What a folder of the data directory holds, as lines: type and mode, owner, path; a folder first, then what is in it, by name.

import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** What is listed where nothing is. */
const NOTHING = '(none)\n';

/** The lines of a file or folder and all below it. */
export function listDisk(top: string): string {
  return lstatSync(top, { throwIfNoEntry: false }) === undefined ? NOTHING : list(top, '.');
}

function list(path: string, name: string): string {
  const stats = lstatSync(path);
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  const target = stats.isSymbolicLink() ? ` -> ${readlinkSync(path)}` : '';
  const line = `${kindOf(stats)}${mode} ${stats.uid}:${stats.gid} ${name}${target}\n`;
  if (!stats.isDirectory()) return line;
  const names = readdirSync(path).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  return line + names.map((child) => list(join(path, child), name === '.' ? child : `${name}/${child}`)).join('');
}

function kindOf(stats: Stats): string {
  if (stats.isDirectory()) return 'd';
  if (stats.isSymbolicLink()) return 'l';
  return stats.isFile() ? '-' : '?';
}
