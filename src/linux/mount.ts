// mount(2) and umount(2), with errors that name every argument.
//
// Called by the mount drivers in `src/filesystem/` only. Mounting is quick and stays on the calling thread; unmounting
// may write a file system back to disk and so goes to a thread of the pool.
//
// 2013: filesystem.go, Filesystem.Mount and Umount (syscall.Mount); mount_linux.go, mount

import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { bind, bindAsync, flagNames, hasCode } from './libc.js';

const MOUNT_FLAGS = { MS_RDONLY: 1, MS_NOSUID: 2, MS_NODEV: 4, MS_NOEXEC: 8 };
const UMOUNT_FLAGS = { MNT_DETACH: 2 };

/** The kernel copies at most one page of mount options. */
export const MOUNT_DATA_LIMIT = 4095;

const mountNative = bind(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umountNative = bindAsync('int umount2(const char *target, int flags)');

/** The arguments of one mount(2), in its order. `flags` are MS_* bits. */
export interface MountCall {
  source: string;
  target: string;
  type: string;
  flags: number;
  data: string;
}

/** Calls mount(2). Throws SyscallError with target, flags by name and the option string. */
export function mount({ source, target, type, flags, data }: MountCall): void {
  const facts = { path: target, flags: flagNames(flags, MOUNT_FLAGS), data: `${type} '${source}' ${data}` };
  mountNative(facts, source, target, type, flags, data);
}

/** Unmounts `target`. With `lazy`, it goes from sight at once and for good when its last user ends. */
export async function umount(target: string, lazy = false): Promise<void> {
  const flags = lazy ? UMOUNT_FLAGS.MNT_DETACH : 0;
  await umountNative({ path: target, flags: flagNames(flags, UMOUNT_FLAGS) }, target, flags);
}

/** Whether something is mounted at `path`: a mount point is on another device than its parent. A missing path is none. */
export function isMountPoint(path: string): boolean {
  try {
    return lstatSync(path).dev !== lstatSync(dirname(path)).dev;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
