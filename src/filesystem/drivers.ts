// The mount drivers that there are, in the order in which they are tried.

import { aufs } from './aufs.js';
import type { MountDriver } from './mount-driver.js';
import { overlay } from './overlay.js';
import { vfs } from './vfs.js';

export const DRIVERS: readonly MountDriver[] = [aufs, overlay, vfs];

/** The names of all drivers. */
export const DRIVER_NAMES = DRIVERS.map(({ name }) => name);

/** The driver of that name. Throws, with those that there are, where there is none. */
export function driverNamed(wanted: string): MountDriver {
  const driver = DRIVERS.find(({ name }) => name === wanted);
  if (driver === undefined) throw new Error(`Unknown mount driver "${wanted}": there are ${DRIVER_NAMES.join(', ')}`);
  return driver;
}
