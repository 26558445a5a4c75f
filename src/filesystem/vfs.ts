// The union for a machine that can mount none: a plain copy of the layers and rw, made at each mount. What was changed in
// the copy is found by comparison and put into rw, when the copy is taken away and whenever somebody asks.
//
// The copy lies at rootfs. `vfs.manifest` beside it says what it was at first; it is there as long as the copy counts, so
// it is the sign of a mount, and it outlives the daemon and the machine.
//
// 2013: none

import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { removeTree } from '../linux/remove-tree.js';
import { syncPath } from '../util/atomic-file.js';
import { timedStep } from '../util/steps.js';
import { isThere } from './folders.js';
import type { Branches, MountDriver } from './mount-driver.js';
import { replaceRw } from './rw.js';
import { runTreeJob } from './tree-job.js';
import { FORM } from './vfs-tree.js';

/** See the head of the file. */
export const vfs: MountDriver = {
  name: 'vfs',
  form: FORM,
  keepsOpenTrees: false,
  prepareLayer: async () => undefined,
  forgetLayer: async () => undefined,
  async removeUnfinished(branches) {
    await rm(unfinishedOf(branches), { force: true });
    if (this.isMounted(branches)) return;
    if ((await namesIn(branches.rootfs)).length > 0) await emptyRootfs(branches.rootfs);
  },
  async mount(branches) {
    const { rootfs, rw, layers } = branches;
    const manifest = manifestOf(branches);
    const unfinished = unfinishedOf(branches);
    try {
      await emptyRootfs(rootfs); // what an unfinished copy left
      const job = { job: 'union', layers, rw, rootfs, manifest: unfinished } as const;
      await timedStep(
        'copy',
        'filesystem.go, Filesystem.Mount',
        () => ({ ...job }),
        () => runTreeJob(job),
      );
      await rename(unfinished, manifest);
    } catch (error) {
      await rm(unfinished, { force: true });
      await emptyRootfs(rootfs);
      throw error;
    }
  },
  async umount(branches) {
    await this.sync(branches);
    await this.discard(branches);
  },
  async discard(branches) {
    await rm(manifestOf(branches)); // from here on the copy is nothing but in the way
    // Also after a power cut: a copy that still counts, and has lost its files, would say that they were deleted.
    await syncPath(dirname(branches.rw));
    await emptyRootfs(branches.rootfs);
  },
  isMounted: (branches) => isThere(manifestOf(branches)),
  async sync(branches) {
    const { rootfs, rw, layers } = branches;
    await replaceRw(rw, this.name, async (target) => {
      const job = { job: 'fold', layers, rootfs, manifest: manifestOf(branches), target } as const;
      await timedStep(
        'fold',
        'filesystem.go, Filesystem.Umount',
        () => ({ ...job }),
        () => runTreeJob(job),
      );
    });
  },
};

function manifestOf({ rw }: Branches): string {
  return join(dirname(rw), 'vfs.manifest');
}

function unfinishedOf(branches: Branches): string {
  return `${manifestOf(branches)}.next`;
}

async function namesIn(rootfs: string): Promise<string[]> {
  return isThere(rootfs) ? readdir(rootfs) : [];
}

async function emptyRootfs(rootfs: string): Promise<void> {
  await removeTree(rootfs);
  await mkdir(rootfs, { mode: 0o755 });
  await syncPath(dirname(rootfs));
}
