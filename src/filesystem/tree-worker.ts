// The thread that does jobs on trees, one after the other, in blocking calls. `runTreeJob` starts each; it ends by itself.

import { serveJobs } from '../util/serve-jobs.js';
import { ArchiveError, reason, type ArchiveErrorMessage } from '../archive/archive-error.js';
import type { TreeForm } from '../archive/walk-tree.js';
import { addTree, withUnpacker } from './copy-tree.js';
import { buildShadows } from './build-shadows.js';
import { foldUnion, makeUnion } from './vfs-tree.js';

/** What can be asked for. Paths are absolute. */
export type TreeJob =
  /** the folders that overlay needs around layers; each `target` is there */
  | { job: 'shadows'; layers: readonly { layer: string; target: string }[] }
  /** what is in rw, in another form, into `target` */
  | { job: 'convert'; rw: string; from: TreeForm; to: TreeForm; target: string }
  /** layers (top first) and rw as one plain tree in `rootfs`, and what it looked like in `manifest` */
  | { job: 'union'; layers: readonly string[]; rw: string; rootfs: string; manifest: string }
  /** what `rootfs` has that the layers have not, and the reverse, as in rw, into `target` */
  | { job: 'fold'; layers: readonly string[]; rootfs: string; manifest: string; target: string };

/** What the worker says at its end. */
export type TreeJobEnd = { done: true } | { failed: ArchiveErrorMessage };

function run(job: TreeJob): void {
  switch (job.job) {
    case 'shadows':
      for (const { layer, target } of job.layers) buildShadows(layer, target);
      return;
    case 'convert':
      return convert(job);
    case 'union':
      return makeUnion(job);
    case 'fold':
      return foldUnion(job);
  }
}

/** To aufs by names, which no other file may have then; to overlay by devices, beside which any name may stand. */
function convert({ rw: root, from: form, to, target }: Extract<TreeJob, { job: 'convert' }>): void {
  if (to === 'overlay') {
    withUnpacker(target, 'overlay', 'devices', (unpacker) =>
      addTree({ root, form, deletionsAsDevices: true }, unpacker),
    );
  } else {
    withUnpacker(target, 'keep', 'named', (unpacker) => addTree({ root, form, refuseWhiteoutNames: true }, unpacker));
  }
}

function endOf(job: TreeJob): TreeJobEnd {
  try {
    run(job);
    return { done: true };
  } catch (error) {
    const told = error instanceof ArchiveError ? error : new ArchiveError(reason(error), error);
    return { failed: told.toMessage() };
  }
}

serveJobs((job, port, end) => {
  port.postMessage(endOf(job as TreeJob)); // runTreeJob gives it
  end();
});
