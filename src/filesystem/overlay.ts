// The union mount of today's kernels: overlayfs.

import { MOUNT_DATA_LIMIT } from '../linux/mount.js';
import type { MountDriver } from './mount-driver.js';

/** One overlay mount: the layers as lowerdir, top first, rw as upperdir. */
export const overlay: MountDriver = {
  name: 'overlay',
  needsWork: true,
  mountCall({ rootfs, rw, work, layers }) {
    const lower = layers.map(escape).join(':');
    const data = `lowerdir=${lower},upperdir=${escape(rw)},workdir=${escape(work)}`;
    if (Buffer.byteLength(data) > MOUNT_DATA_LIMIT) {
      throw new Error(
        `Cannot mount ${layers.length} layers with overlay: their names do not fit into one page of options`,
      );
    }
    return { source: 'overlay', target: rootfs, type: 'overlay', flags: 0, data };
  },
};

/** A colon separates layers and a comma options, unless a backslash stands before it. */
function escape(path: string): string {
  return path.replace(/[\\:,]/g, '\\$&');
}
