// syncfs(2): everything that was written to a file system is on its disk.
//
// Whoever has made a tree of files that is to count from now on calls it, before the tree gets its name. One call for all
// of them: to wait for the disk for each of thousands of files takes many times as long. What others have just written to the
// same file system is written out with it.
//
// 2013: none

import { closeSync, constants, openSync } from 'node:fs';
import { bindAsync } from './libc.js';

const syncfs = bindAsync('int syncfs(int fd)');

/** Resolves when all that is below `folder`, and all else on its file system, is on the disk. On a thread of the pool. */
export async function syncFileSystem(folder: string): Promise<void> {
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await syncfs({ path: folder }, fd);
  } finally {
    closeSync(fd);
  }
}
