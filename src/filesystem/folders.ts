// Questions about folders that are answered by one named failure.

import { access, mkdir } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';

/** Whether something has that path. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Makes a folder. False where it was there; its parent must be. */
export async function mkdirUnlessThere(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}
