// The union mount of 2013: aufs, where the kernel has it.
//
// 2013: filesystem.go, Filesystem.Mount

import type { MountCall } from '../linux/mount.js';
import {
  fitsOnePage,
  kernelUnion,
  mountUnion,
  tooManyLayers,
  type Branches,
  type MountDriver,
} from './mount-driver.js';

/** One aufs mount: rw first, then the layers, top first. */
export const aufs: MountDriver = {
  ...kernelUnion,
  name: 'aufs',
  form: 'aufs',
  mount: async (branches) => mountUnion(aufsMountCall(branches)),
};

/** The one mount(2) that makes the union. Throws where the branches cannot be put into its arguments. */
export function aufsMountCall({ rootfs, rw, layers }: Omit<Branches, 'work'>): MountCall {
  // DIFFERS D05: lower branches were plain `=ro`, with which whiteouts in a committed layer have no effect.
  const branches = [`${rw}=rw`, ...layers.map((layer) => `${layer}=ro+wh`)];
  for (const branch of branches) {
    if (/:/.test(branch)) throw new Error(`Cannot mount "${branch}" with aufs: the path contains a colon`);
  }
  const data = `br:${branches.join(':')}`;
  if (!fitsOnePage(data)) throw tooManyLayers('aufs', layers);
  return { source: 'none', target: rootfs, type: 'aufs', flags: 0, data };
}
