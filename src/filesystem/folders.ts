// Questions about folders that are answered by one named failure. At once: each is one short call, and a start has many.

import { accessSync, mkdirSync } from 'node:fs';
import { hasCode } from '../linux/libc.js';

/** Whether something has that path. */
export function isThere(path: string): boolean {
  try {
    accessSync(path);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Makes a folder. False where it was there; its parent must be. */
export function mkdirUnlessThere(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}
