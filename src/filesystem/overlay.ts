// The union mount of today's kernels: overlayfs.

import { checkOnePage, type MountDriver } from './mount-driver.js';

/** One overlay mount: the layers as lowerdir, top first, rw as upperdir. */
export const overlay: MountDriver = {
  name: 'overlay',
  needsWork: true,
  mountCall({ rootfs, rw, work, layers }) {
    const lower = layers.map(escape).join(':');
    const data = `lowerdir=${lower},upperdir=${escape(rw)},workdir=${escape(work)}`;
    return {
      source: 'overlay',
      target: rootfs,
      type: 'overlay',
      flags: 0,
      data: checkOnePage('overlay', layers, data),
    };
  },
};

/** A colon separates layers and a comma options, unless a backslash stands before it. */
function escape(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}
