// A copy of a tree, exact to the last attribute: packed as an archive and unpacked again, without the archive ever being
// anywhere. In blocking calls: the tree worker uses it.

import { Packer, type PackOptions } from '../archive/pack.js';
import { TarReader } from '../archive/tar-reader.js';
import { Unpacker, type DeletionEntries, type WhiteoutMode } from '../archive/unpack.js';
import type { WalkedEntry } from '../archive/walk-tree.js';

const BUFFER_SIZE = 1024 * 1024;

/** Hands the tree, or only these entries of it, to an unpacker that goes on afterwards. */
export function addTree(options: PackOptions, unpacker: Unpacker, entries?: Iterable<WalkedEntry>): void {
  const packer = new Packer(options, entries);
  try {
    const reader = new TarReader(unpacker);
    const buffer = Buffer.allocUnsafe(BUFFER_SIZE);
    for (let length = packer.fill(buffer); length > 0; length = packer.fill(buffer)) {
      reader.push(buffer.subarray(0, length));
    }
    reader.end();
  } finally {
    packer.close();
  }
}

/** Unpacks below `target` what `add` hands to the unpacker. */
export function withUnpacker(
  target: string,
  whiteouts: WhiteoutMode,
  deletions: DeletionEntries,
  add: (unpacker: Unpacker) => void,
): void {
  const unpacker = new Unpacker(target, whiteouts, deletions);
  try {
    add(unpacker);
    unpacker.end();
  } finally {
    unpacker.close();
  }
}
