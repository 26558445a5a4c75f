// The small interface behind which the mount drivers stand. 2013 had aufs only. A driver says how layers and rw become
// one tree at rootfs, and how deletions stand in rw; everything else is in `Filesystem`.

import type { TreeForm } from '../archive/walk-tree.js';
import { isMountPoint, mount, MOUNT_DATA_LIMIT, umount, type MountCall } from '../linux/mount.js';
import { hasCode } from '../linux/libc.js';
import { mountUsers } from '../linux/mount-users.js';
import { step, timedStep } from '../util/steps.js';

/** The folders of one union mount, absolute. */
export interface Branches {
  /** where it appears */
  rootfs: string;
  /** what is written goes here */
  rw: string;
  /** a folder beside rw for the driver's own use; the driver makes it */
  work: string;
  /** read only, top first, none of them twice; all in one folder */
  layers: readonly string[];
  /** told where the union is taken from sight only, as somebody still uses it */
  log?: (line: string) => void;
}

/** One way to make a union of folders. */
export interface MountDriver {
  readonly name: string;
  /** How deletions stand in rw. In layers at rest they stand as in aufs, whatever the driver. */
  readonly form: TreeForm;
  /** Whether who has the tree open keeps it when it is unmounted. */
  readonly keepsOpenTrees: boolean;
  /**
   * A layer arrives: makes what the driver needs beside it, which the first mount would do else. Its content lies in `folder`
   * for the moment; `hasWhiteoutNames` tells whether it may delete something.
   */
  prepareLayer(layer: string, folder: string, hasWhiteoutNames: boolean): Promise<void>;
  /** Takes that away again; the layer itself is gone or going. */
  forgetLayer(layer: string): Promise<void>;
  /** Takes away what a daemon that was killed left of a union that it had not finished. */
  removeUnfinished(branches: Branches): Promise<void>;
  /** Makes the union. The folders rootfs and rw are there. Rejects, with nothing mounted, where that fails. */
  mount(branches: Branches): Promise<void>;
  /** Takes the union away; what was changed is in rw then. */
  umount(branches: Branches): Promise<void>;
  /** As `umount`, but what was changed need not be in rw: nobody wants it any more. */
  discard(branches: Branches): Promise<void>;
  isMounted(branches: Branches): boolean;
  /** Puts what was changed so far into rw, for a driver that does so only at the end. The union stays. */
  sync(branches: Branches): Promise<void>;
}

/** A union that the kernel makes: what drivers of that kind have in common. */
export const kernelUnion = {
  keepsOpenTrees: true,
  prepareLayer: async (): Promise<void> => undefined,
  forgetLayer: async (): Promise<void> => undefined,
  /** the kernel makes it at once or not at all */
  removeUnfinished: async (): Promise<void> => undefined,
  umount: umountUnion,
  discard: umountUnion,
  isMounted: ({ rootfs }: Branches): boolean => isMountPoint(rootfs),
  /** rw is a part of the mount: it is always up to date */
  sync: async (): Promise<void> => undefined,
};

/** Calls mount(2), and announces it. */
export function mountUnion(call: MountCall): Promise<void> {
  return timedStep(
    'mount',
    'filesystem.go, Filesystem.Mount',
    () => ({ ...call }),
    () => mount(call),
  );
}

/** Takes a mount away. Where something still uses it, it is taken from sight and goes when the last user ends. */
async function umountUnion({ rootfs: target, log }: Branches): Promise<void> {
  const source = 'filesystem.go, Filesystem.Umount';
  try {
    await timedStep(
      'umount',
      source,
      () => ({ target }),
      () => umount(target),
    );
  } catch (error) {
    if (!hasCode(error, 'EBUSY')) throw error;
    const users = mountUsers(target); // before: afterwards it has no name
    await umount(target, true);
    step('umount', source, () => ({ target, lazy: true }));
    log?.(`${target} is in use by ${users || 'somebody'}: taken from sight, it goes for good with its last user`);
  }
}

/** Whether the options of a mount fit: of more than a page the kernel would take the beginning only. */
export function fitsOnePage(data: string): boolean {
  return Buffer.byteLength(data) <= MOUNT_DATA_LIMIT;
}

/** The error for layers that do not fit. */
export function tooManyLayers(driver: string, layers: readonly string[]): Error {
  return new Error(
    `Cannot mount ${layers.length} layers with ${driver}: their names do not fit into one page of options`,
  );
}
