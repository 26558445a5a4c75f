// What a process has open, but for what its threads need to wait for anything: a thread that rests until its next job
// (src/util/thread-jobs.ts) is no leak, and tests look whether something else is.

import { readdirSync, readlinkSync } from 'node:fs';

/** What the loop of each thread has of its own, beside a pipe of which it holds both ends. */
const LOOP_FILES = ['anon_inode:[eventpoll]', 'anon_inode:[eventfd]', 'anon_inode:[io_uring]'];

/** How many descriptors a process has open. A pipe with both ends in it is not counted. */
export function openDescriptors(pid: number | 'self'): number {
  const files = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // it has been closed meanwhile
    }
  });
  const isPipeToItself = (file: string): boolean =>
    file.startsWith('pipe:') && files.indexOf(file) !== files.lastIndexOf(file);
  return files.filter((file) => !LOOP_FILES.includes(file) && !isPipeToItself(file)).length;
}
