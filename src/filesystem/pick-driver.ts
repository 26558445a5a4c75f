// Which mount driver a machine gets: the first that can really mount a union where the data lies.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mount, umount } from '../linux/mount.js';
import { errorMessage } from '../util/errors.js';
import { aufs } from './aufs.js';
import type { MountDriver } from './mount-driver.js';
import { overlay } from './overlay.js';

/** In the order in which they are tried. */
const DRIVERS: readonly MountDriver[] = [aufs, overlay];

/** The names of all drivers. */
export const DRIVER_NAMES = DRIVERS.map(({ name }) => name);

/**
 * Picks the first driver that can mount a union inside `directory`, or checks the one that is asked for. Rejects with one
 * helpful sentence where none can.
 */
export async function pickDriver(directory: string, wanted: string | undefined): Promise<MountDriver> {
  const candidates = wanted === undefined ? DRIVERS : DRIVERS.filter(({ name }) => name === wanted);
  if (candidates.length === 0) {
    throw new Error(`Unknown mount driver "${wanted ?? ''}": there are ${DRIVER_NAMES.join(', ')}`);
  }
  const reasons: string[] = [];
  for (const driver of candidates) {
    const reason = await whyNot(driver, directory);
    if (reason === undefined) return driver;
    reasons.push(`${driver.name}: ${reason}`);
  }
  throw new Error(
    `No mount driver works in ${directory} (${reasons.join('; ')}): ` +
      'the kernel needs aufs or overlay (modprobe overlay), and a data directory on a file system that can be an upper layer, such as ext4 (-g DIR)',
  );
}

/** Mounts a tiny union in `directory` and takes it away again. Resolves with the reason where that fails. */
async function whyNot(driver: MountDriver, directory: string): Promise<string | undefined> {
  const probe = await mkdtemp(join(directory, '.tmp-probe-'));
  const folder = async (name: string): Promise<string> => {
    await mkdir(join(probe, name));
    return join(probe, name);
  };
  try {
    const layers = [await folder('layer')];
    const branches = { layers, rw: await folder('rw'), work: await folder('work'), rootfs: await folder('rootfs') };
    mount(driver.mountCall(branches));
    await umount(branches.rootfs);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}
