// The folder of a container as a daemon finds it: what in it is of the wrong kind is set aside before anybody opens it. A
// link would lead out of the data directory, a FIFO in the place of a file would hold the daemon up for ever.
//
// `restore.ts` calls it for each name among the containers, before the container is read.
//
// 2013: docker.go, Docker.restore, which took whatever was there

import { lstatSync, readdirSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import type { DamageReport } from '../util/damage-report.js';
import { kindOf } from '../util/regular-file.js';
import { isPathTaken, nameBeforeAside, setAside } from '../util/set-aside.js';
import { FIFO_NAMES } from './streams.js';

/**
 * An empty file in a container's folder, from its beginning until all that `create` wrote is on the disk: with it, damage is
 * that of a power cut, and nobody was told of the container.
 */
export const UNSYNCED = 'unsynced';

/** The name of a container's folder. */
const ID = /^[0-9a-f]{8}$/;
/** Whoever reads these finds out what they are, and what can be known without them. */
const READ_WITH_CARE = ['config.json', 'userdata.json', 'network.json', 'rw.driver'];
const FILES = ['config.lxc', 'lxc.log', 'hosts', 'hostname', 'resolv.conf'];
const FOLDERS = ['rootfs', 'rw', 'work'];
/** What the folder of a stopped container may have; besides these its logs. */
const FINISHED: ReadonlySet<string> = new Set([...READ_WITH_CARE, ...FILES, ...FOLDERS]);
/** What is there during some work, or a run. */
const ALL_FILES: ReadonlySet<string> = new Set([...FILES, UNSYNCED, 'vfs.manifest', 'frozen', 'signal']);
const ALL_FOLDERS: ReadonlySet<string> = new Set([...FOLDERS, 'rw.next']);

/**
 * The names in the folder `id`, where it may be read as a container's: then all in it that is a container's is of the right
 * kind. Else it is named, and left alone: undefined.
 */
export async function listContainerFolder(
  containersPath: string,
  id: string,
  damage: DamageReport,
): Promise<string[] | undefined> {
  const root = join(containersPath, id);
  const leaveAlone = (why: string): undefined => {
    damage.add(`${root} ${why}: it is left alone`, { isStillSo: () => isPathTaken(root) });
  };
  const found = lstatSync(root);
  if (!ID.test(id)) return leaveAlone('is no container');
  if (!found.isDirectory()) return leaveAlone(`is ${kindOf(found)}, and no container`);
  const entries = readdirSync(root, { withFileTypes: true });
  if (!entries.some(({ name }) => isOwnName(id, name) || nameBeforeAside(name) !== undefined))
    return leaveAlone('holds nothing of a container');
  const names: string[] = [];
  for (const entry of entries) {
    const path = join(root, entry.name);
    if (nameBeforeAside(entry.name) !== undefined) tell(damage, path, 'was set aside earlier');
    else if (isOfRightKind(id, entry)) names.push(entry.name);
    else tell(damage, await setAside(path), `was ${path}, which is ${kindOf(entry)}`);
  }
  return names;
}

/** Whether these are the names of a container of which nothing is under way, nor was when a daemon was killed. */
export function isFolderFinished(id: string, names: readonly string[]): boolean {
  return names.every((name) => FINISHED.has(name) || isLog(id, name));
}

/** Tells of what was set aside, for as long as it lies there. */
export function tell(damage: DamageReport, aside: string, what: string): void {
  damage.add(`${aside} ${what}`, { isStillSo: () => isPathTaken(aside) });
}

function isOwnName(id: string, name: string): boolean {
  return READ_WITH_CARE.includes(name) || ALL_FOLDERS.has(name) || isPlainFile(id, name);
}

function isOfRightKind(id: string, entry: Dirent): boolean {
  const { name } = entry;
  if (ALL_FOLDERS.has(name)) return entry.isDirectory();
  if (FIFO_NAMES.includes(name)) return entry.isFIFO();
  return !isPlainFile(id, name) || entry.isFile();
}

function isPlainFile(id: string, name: string): boolean {
  return ALL_FILES.has(name) || isLog(id, name);
}

function isLog(id: string, name: string): boolean {
  return name.startsWith(`${id}-`);
}
