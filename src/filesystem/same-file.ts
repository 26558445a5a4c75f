// Whether a file of a copy is still the one of the layers, by its content: for the one case that attributes cannot tell.

import { constants, readSync } from 'node:fs';
import { openFile } from '../archive/open-file.js';
import type { WalkedEntry } from '../archive/walk-tree.js';
import { close } from '../linux/at.js';
import { freadxattrs } from '../linux/xattr.js';
import { LowerLayers } from './lower-layers.js';

const PIECE = 64 * 1024;

/** Whether the layers (top first) show a file at the same path with the same content and extended attributes. */
export function isInLayers({ path, directory, name }: WalkedEntry, layers: readonly string[]): boolean {
  const lower = new LowerLayers(layers);
  try {
    const parents = path.split('/');
    const last = parents.pop() ?? '';
    for (const parent of parents) lower.enter(parent, lower.find(parent));
    const shown = lower.find(last);
    if (shown?.type !== constants.S_IFREG) return false;
    const files = [openFile(directory, name), openFile(shown.directory, name)];
    try {
      const [one, other] = files;
      return one !== undefined && other !== undefined && isSame(one.fd, other.fd);
    } finally {
      for (const file of files) if (file !== undefined) close(file.fd);
    }
  } finally {
    lower.close();
  }
}

function isSame(one: number, other: number): boolean {
  const [xattrs, others] = [freadxattrs(one), freadxattrs(other)];
  if (xattrs.size !== others.size || [...xattrs].some(([key, value]) => others.get(key)?.equals(value) !== true)) {
    return false;
  }
  for (;;) {
    const piece = readPiece(one);
    if (!readPiece(other).equals(piece)) return false;
    if (piece.length === 0) return true;
  }
}

function readPiece(file: number): Buffer {
  const buffer = Buffer.alloc(PIECE);
  let length = 0;
  for (let read = 1; read > 0 && length < PIECE; length += read)
    read = readSync(file, buffer, length, PIECE - length, null);
  return buffer.subarray(0, length);
}
