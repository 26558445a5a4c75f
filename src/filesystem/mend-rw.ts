// The file that names the driver of a container's rw, where it is damaged: what it said is found out from what lies there.
// Deletions stand in rw in one of two forms; to read one as the other would bring back what was deleted.
//
// `restore.ts` of the containers calls it for each at the start of the daemon, before anything asks for the driver.
//
// 2013: none; rw was aufs's

import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readMounts } from '../linux/mountinfo.js';
import type { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';
import { isPathTaken, setAside } from '../util/set-aside.js';
import { aufs } from './aufs.js';
import { DRIVER_NAMES } from './drivers.js';
import { FORM_FILE, NEXT, writeRwDriver } from './rw.js';

/** What aufs keeps for itself at the top of its rw, from the first mount on. */
const OF_AUFS = /^\.wh\.\.wh\./;

/**
 * The name of the driver whose form rw has; undefined where rw is to be replaced, and that is not finished. A file that names
 * no driver is set aside, one that does is written, and `damage` is told.
 */
export async function mendRwDriver(rw: string, damage: DamageReport): Promise<string | undefined> {
  const root = dirname(rw);
  const path = join(root, FORM_FILE);
  let problem: string;
  try {
    const text = readRegularFile(path);
    if (text === undefined) return aufs.name; // an original wrote it
    const [driver = '', next, ...more] = text.trimEnd().split('\n');
    const isWhole = DRIVER_NAMES.includes(driver) && (next === undefined || next === NEXT) && more.length === 0;
    if (isWhole) return next === undefined ? driver : undefined;
    problem = 'it names no driver';
  } catch (error) {
    problem = errorMessage(error);
  }
  const driver = driverByTraces(rw);
  const aside = await setAside(path);
  const next = join(root, NEXT);
  // Half-made, or all that there is of rw: where both are there nobody knows, and both are kept.
  const kept = isPathTaken(rw) && isPathTaken(next) ? `; ${await setAside(next)} may be the later one of rw` : '';
  await writeRwDriver(rw, driver);
  damage.add(`${aside} was ${path}, which cannot be used: ${problem}; by what lies there it was ${driver}${kept}`, {
    isStillSo: () => isPathTaken(aside),
  });
  return driver;
}

/** Overlay and vfs write the same form. */
function driverByTraces(rw: string): string {
  const root = dirname(rw);
  const mounted = readMounts().find(({ path }) => path === join(root, 'rootfs'))?.type;
  if (mounted !== undefined && DRIVER_NAMES.includes(mounted)) return mounted;
  if (existsSync(join(root, 'vfs.manifest'))) return 'vfs';
  if (existsSync(rw) && readdirSync(rw).some((name) => OF_AUFS.test(name))) return 'aufs';
  return existsSync(join(root, 'work')) ? 'overlay' : 'vfs';
}
