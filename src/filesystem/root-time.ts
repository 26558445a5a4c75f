// The time of a container's root directory, kept from LXC: as it starts, it makes a file `.lxc_keep` there and removes it,
// which would show in every commit and archive as a change of the root.

import { constants, fstatSync, readdirSync } from 'node:fs';
import { AT_FDCWD, close, futimens, nativeName, openat } from '../linux/at.js';
import { MOUNT_POINTS } from './own-mount-points.js';

const { O_DIRECTORY, O_RDONLY } = constants;
/** LXC's log and the kernel's file times count in steps of a few milliseconds. */
const STEP_NS = 10_000_000n;

/** How the root directory was before LXC came. */
export interface RootLook {
  mtimeNs: bigint;
  /** what is in it, but for what LXC mounts on */
  names: readonly string[];
}

/** Looks at the root of a mounted union. */
export function lookAtRoot(rootfs: string): RootLook {
  return withRoot(rootfs, look);
}

/**
 * Gives the root its time back, unless the program changed the root itself: that has other names in it, or a time after
 * the program began (in milliseconds since 1970).
 */
export function restoreRootTime(rootfs: string, before: RootLook, programBeganAtMs: number): void {
  withRoot(rootfs, (fd) => {
    const { mtimeNs, names } = look(fd);
    const isLxcs = mtimeNs !== before.mtimeNs && mtimeNs <= BigInt(programBeganAtMs) * 1_000_000n + STEP_NS;
    if (isLxcs && names.join('/') === before.names.join('/')) futimens(fd, before.mtimeNs);
  });
}

function look(fd: number): RootLook {
  const names = readdirSync(`/proc/self/fd/${fd}`, 'latin1').filter((name) => !MOUNT_POINTS.includes(name));
  return { mtimeNs: fstatSync(fd, { bigint: true }).mtimeNs, names: names.sort() };
}

function withRoot<T>(rootfs: string, use: (fd: number) => T): T {
  const fd = openat(AT_FDCWD, nativeName(rootfs), O_RDONLY | O_DIRECTORY);
  try {
    return use(fd);
  } finally {
    close(fd);
  }
}
