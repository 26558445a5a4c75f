// The small interface behind which the mount drivers stand. 2013 had aufs only. A driver says how layers and rw become
// one tree; everything else is in `Filesystem`.

import { MOUNT_DATA_LIMIT, type MountCall } from '../linux/mount.js';

/** The folders of one union mount, absolute. */
export interface Branches {
  /** where it appears */
  rootfs: string;
  /** what is written goes here */
  rw: string;
  /** a folder beside rw for the driver's own use */
  work: string;
  /** read only, top first */
  layers: readonly string[];
}

/** One way to make a union of folders. */
export interface MountDriver {
  readonly name: string;
  /** whether it needs `Branches.work` */
  readonly needsWork: boolean;
  /** The one mount(2) that makes the union. Throws where the branches cannot be put into its arguments. */
  mountCall(branches: Branches): MountCall;
}

/** The options of a mount, checked: of more than a page the kernel would take the beginning only. */
export function checkOnePage(driver: string, layers: readonly string[], data: string): string {
  if (Buffer.byteLength(data) <= MOUNT_DATA_LIMIT) return data;
  throw new Error(
    `Cannot mount ${layers.length} layers with ${driver}: their names do not fit into one page of options`,
  );
}
