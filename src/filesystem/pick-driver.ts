// Which mount driver a machine gets: the first that can really mount a union where the data lies.

import { mkdir, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../linux/remove-tree.js';
import { errorMessage } from '../util/errors.js';
import { driverNamed, DRIVERS } from './drivers.js';
import type { MountDriver } from './mount-driver.js';
import { vfs } from './vfs.js';

/**
 * Picks the first driver that can mount a union inside `directory`, or checks the one that is asked for. Rejects with one
 * helpful sentence where none can. `log` is told why a machine gets none but the plain copy.
 */
export async function pickDriver(
  directory: string,
  wanted: string | undefined,
  log: (line: string) => void,
): Promise<MountDriver> {
  const candidates = wanted === undefined ? DRIVERS : [driverNamed(wanted)];
  const reasons: string[] = [];
  for (const driver of candidates) {
    const reason = await whyNot(driver, directory);
    if (reason === undefined) {
      if (driver === vfs && reasons.length > 0) log(`each start copies the whole image: no union can be mounted in ${help(directory, reasons)}`); // prettier-ignore
      return driver;
    }
    reasons.push(`${driver.name}: ${reason}`);
  }
  throw new Error(`No mount driver works in ${help(directory, reasons)}`);
}

function help(directory: string, reasons: readonly string[]): string {
  return (
    `${directory} (${reasons.join('; ')}): ` +
    'the kernel needs aufs or overlay (modprobe overlay), and a data directory on a file system that can be an upper layer, such as ext4 (-g DIR)'
  );
}

/** Mounts a tiny union in `directory` and takes it away again. Resolves with the reason where that fails. */
async function whyNot(driver: MountDriver, directory: string): Promise<string | undefined> {
  const probe = await mkdtemp(join(directory, '.tmp-probe-'));
  const folder = async (name: string): Promise<string> => {
    await mkdir(join(probe, name), { recursive: true });
    return join(probe, name);
  };
  try {
    const layers = [await folder('layers/layer')];
    const branches = { layers, rw: await folder('rw'), work: join(probe, 'work'), rootfs: await folder('rootfs') };
    await driver.mount(branches);
    await driver.discard(branches);
    return undefined;
  } catch (error) {
    return errorMessage(error);
  } finally {
    await removeTree(probe);
  }
}
