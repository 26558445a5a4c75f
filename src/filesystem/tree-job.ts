// Work on whole trees that would keep the daemon from answering: done by a worker thread, one job at a time in each.
//
// A job is never ended from outside, since its descriptors belong to the process and would stay open.

import { ArchiveError } from '../archive/archive-error.js';
import { startJob } from '../util/thread-jobs.js';
import type { TreeJob, TreeJobEnd } from './tree-worker.js';

/** Does a job. Rejects with an `ArchiveError` where it fails; what is half-made is the caller's to remove. */
export async function runTreeJob(job: TreeJob): Promise<void> {
  let end: TreeJobEnd | undefined;
  let failure: Error | undefined;
  const { ended } = startJob<TreeJobEnd>(new URL('./tree-worker.js', import.meta.url), 'tree', job, {
    onMessage: (message) => (end = message),
    onError: (error) => (failure = error),
  });
  await ended;
  if (failure !== undefined) throw failure;
  if (end === undefined) throw new Error(`Cannot do the job "${job.job}": its worker ended early`);
  if ('failed' in end) throw ArchiveError.fromMessage(end.failed);
}
