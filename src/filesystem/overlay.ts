// The union mount of today's kernels: overlayfs.
//
// Overlay knows nothing of `.wh.` names, and layers at rest have them. So a layer that deletes something is mounted
// between two thin folders: the one above it hides the `.wh.` names, the one below it deletes what they stand for. No
// content is copied, and the layer stays as it is. `overlay-shadows.ts` makes the two.

import { mkdtempSync, openSync, closeSync, rmSync, symlinkSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import type { MountCall } from '../linux/mount.js';
import { mkdirUnlessThere } from './folders.js';
import {
  fitsOnePage,
  kernelUnion,
  mountUnion,
  tooManyLayers,
  type Branches,
  type MountDriver,
} from './mount-driver.js';
import { forgetShadows, prepareShadows, shadowsOf } from './overlay-shadows.js';

/** The kernel stacks no more folders than these (OVL_MAX_STACK). */
const MAX_LOWER = 500;

/** One overlay mount: the layers as lowerdir, top first, rw as upperdir. */
export const overlay: MountDriver = {
  ...kernelUnion,
  name: 'overlay',
  form: 'overlay',
  prepareLayer: prepareShadows,
  forgetLayer: forgetShadows,
  async mount(branches) {
    mkdirUnlessThere(branches.work, 0o700);
    const lower = await lowerFolders(branches.layers);
    if (lower.length > MAX_LOWER) {
      throw new Error(
        `Cannot mount ${branches.layers.length} layers with overlay: they take ${lower.length} folders, and the kernel stacks ${MAX_LOWER}`,
      );
    }
    const call = overlayMountCall({ ...branches, layers: lower });
    if (fitsOnePage(call.data)) await mountUnion(call);
    else await mountByShortNames({ ...branches, layers: lower });
  },
};

/** The one mount(2) that makes the union of these folders. */
export function overlayMountCall({ rootfs, rw, work, layers }: Branches): MountCall {
  const lower = layers.map(escape).join(':');
  // What a kernel may have switched on by itself would leave in rw what only that kernel understands.
  const features = 'redirect_dir=nofollow,index=off,metacopy=off';
  const data = `lowerdir=${lower},upperdir=${escape(rw)},workdir=${escape(work)},${features}`;
  return { source: 'overlay', target: rootfs, type: 'overlay', flags: 0, data };
}

/** The folders below rw, top first. */
async function lowerFolders(layers: readonly string[]): Promise<string[]> {
  const folders: string[] = [];
  const shadows = await shadowsOf(layers);
  for (const [index, layer] of layers.entries()) {
    const { above, below, isOpaque } = shadows[index] ?? { above: undefined, below: undefined, isOpaque: false };
    folders.push(...(above === undefined ? [] : [above]), layer, ...(below === undefined ? [] : [below]));
    if (isOpaque) break; // overlay does not look at that mark on the root of a layer
  }
  return folders;
}

/**
 * The options of a mount are one page at most, so folders that do not fit get short names: links in a folder that is the
 * working directory for just this call. Nothing else runs meanwhile, and what runs on other threads uses absolute paths.
 */
async function mountByShortNames(branches: Branches): Promise<void> {
  const links = mkdtempSync(join(dirname(branches.rw), '.tmp-mount-'));
  const shorten = (path: string, index: number): string => {
    const name = index.toString(36);
    symlinkSync(path, join(links, name));
    return name;
  };
  let before: number | undefined;
  try {
    const [rw = '', work = '', ...layers] = [branches.rw, branches.work, ...branches.layers].map(shorten);
    const call = overlayMountCall({ rootfs: branches.rootfs, rw, work, layers });
    if (!fitsOnePage(call.data)) throw tooManyLayers('overlay', branches.layers);
    before = openSync('.', constants.O_RDONLY | constants.O_DIRECTORY); // by descriptor: its name may be gone
    process.chdir(links);
    await mountUnion(call);
  } finally {
    if (before !== undefined) {
      process.chdir(`/proc/self/fd/${before}`);
      closeSync(before);
    }
    rmSync(links, { recursive: true, force: true });
  }
}

/** A colon separates layers and a comma options, unless a backslash stands before it. */
function escape(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}
