// The archives of a container's whole tree that are still being read. A tree is read on by descriptor when it is unmounted or
// removed meanwhile; what would not be the whole tree any more is broken off.
//
// 2013: filesystem.go, Filesystem.Tar

import { closeSync, constants, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { packTree } from '../archive/pack-tree.js';
import { ownMountPoints } from './own-mount-points.js';

/** See the head of the file. */
export class TreeArchives {
  readonly #archives = new Set<Readable>();

  /** Begins one of the tree at `rootfs`, which is mounted. The caller reads or destroys it. */
  begin(rootfs: string, layers: readonly string[]): Readable {
    // By descriptor: a tree that is unmounted stays there for who has it open, and its folder is empty.
    const root = openSync(rootfs, constants.O_RDONLY | constants.O_DIRECTORY);
    const archive = packTree({ root: `/proc/self/fd/${root}`, form: 'plain', skip: ownMountPoints(rootfs, layers) });
    this.#archives.add(archive);
    archive.on('error', () => undefined); // it may break off before it is read; its reader is told
    archive.once('close', () => {
      this.#archives.delete(archive);
      closeSync(root);
    });
    return archive;
  }

  /** What is read on of the tree at `rootfs` would not be the whole tree. */
  breakOff(rootfs: string, event: string): void {
    for (const archive of this.#archives) {
      archive.destroy(new Error(`Cannot read ${rootfs} to its end: it was ${event} meanwhile`));
    }
  }
}
