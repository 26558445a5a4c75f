// Removing what has a name in an open directory, with all that is in it, in blocking calls.
//
// The unpacker removes so what an archive replaces or deletes; the daemon's own thread has `removeTree`, which does not block.
//
// The rule that must hold: no symbolic link is followed, no name is looked up from elsewhere, and no depth is too deep.
//
// 2013: os.RemoveAll

import { opendirSync } from 'node:fs';
import { AT_REMOVEDIR, nativeName, unlinkat } from './at.js';
import { DirectoryStack } from './directory-stack.js';
import { hasCode } from './libc.js';

/** Removes what has the name `name` (ending in NUL) in `directory`. False where there is nothing of that name. */
export function removeAt(directory: number, name: Buffer): boolean {
  try {
    unlinkat(directory, name);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    if (!hasCode(error, 'EISDIR')) throw error;
  }
  const stack = new DirectoryStack(`/proc/self/fd/${directory}`);
  try {
    stack.enter(name);
    emptyCurrent(stack);
  } finally {
    stack.close();
  }
  unlinkat(directory, name, AT_REMOVEDIR);
  return true;
}

/** Removes all that is in the open directory. */
export function removeContent(directory: number): void {
  const stack = new DirectoryStack(`/proc/self/fd/${directory}`);
  try {
    emptyCurrent(stack);
  } finally {
    stack.close();
  }
}

// Goes down before it removes, and ends where it began. A loop, not a recursion: directories may be nested without end.
function emptyCurrent(stack: DirectoryStack): void {
  const levels = [removeFiles(stack.fd)]; // the directories that are still to be removed at each level
  const way: Buffer[] = [];
  for (;;) {
    const next = levels.at(-1)?.pop();
    if (next !== undefined) {
      stack.enter(next);
      way.push(next);
      levels.push(removeFiles(stack.fd));
      continue;
    }
    const emptied = way.pop();
    if (emptied === undefined) return;
    levels.pop();
    stack.leave();
    unlinkat(stack.fd, emptied, AT_REMOVEDIR);
  }
}

// A few names at a time: a directory may hold a million. Returns the names of the directories in it, which are left.
function removeFiles(directory: number): Buffer[] {
  const directories: Buffer[] = [];
  const content = opendirSync(`/proc/self/fd/${directory}`, { encoding: 'latin1' });
  try {
    for (let entry = content.readSync(); entry !== null; entry = content.readSync()) {
      const name = nativeName(Buffer.from(entry.name, 'latin1'));
      if (entry.isDirectory()) directories.push(name);
      else unlinkat(directory, name);
    }
  } finally {
    content.closeSync();
  }
  return directories;
}
