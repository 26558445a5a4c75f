// The union mount of 2013: aufs, where the kernel has it.
//
// 2013: filesystem.go, Filesystem.Mount

import { checkOnePage, type MountDriver } from './mount-driver.js';

/** One aufs mount: rw first, then the layers, top first. */
export const aufs: MountDriver = {
  name: 'aufs',
  needsWork: false,
  mountCall({ rootfs, rw, layers }) {
    // DIFFERS D05: lower branches were plain `=ro`, with which whiteouts in a committed layer have no effect.
    const branches = [`${rw}=rw`, ...layers.map((layer) => `${layer}=ro+wh`)];
    for (const branch of branches) {
      if (/:/.test(branch)) throw new Error(`Cannot mount "${branch}" with aufs: the path contains a colon`);
    }
    const data = `br:${branches.join(':')}`;
    return { source: 'none', target: rootfs, type: 'aufs', flags: 0, data: checkOnePage('aufs', layers, data) };
  },
};
