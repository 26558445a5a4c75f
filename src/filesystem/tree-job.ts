// Work on whole trees that would keep the daemon from answering: done by a worker thread, one for each job.
//
// The worker is never ended from outside, since its descriptors belong to the process and would stay open.

import { ArchiveError } from '../archive/archive-error.js';
import { startWorker } from '../util/program-files.js';
import type { TreeJob, TreeJobEnd } from './tree-worker.js';

/** Does a job. Rejects with an `ArchiveError` where it fails; what is half-made is the caller's to remove. */
export async function runTreeJob(job: TreeJob): Promise<void> {
  const worker = startWorker(new URL('./tree-worker.js', import.meta.url), { name: job.job, workerData: job });
  let end: TreeJobEnd | undefined;
  await new Promise<void>((resolve, reject) => {
    worker.once('message', (message: TreeJobEnd) => (end = message));
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
  if (end === undefined) throw new Error(`Cannot do the job "${job.job}": its worker ended early`);
  if ('failed' in end) throw ArchiveError.fromMessage(end.failed);
}
