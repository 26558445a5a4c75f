// The folders that LXC made in a container to mount on, because the image has none: they are not the user's changes.

import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LowerLayers } from './lower-layers.js';

/** What LXC mounts on, relative to the root of a container. */
export const MOUNT_POINTS: readonly string[] = ['dev', 'proc', 'sys'];

/** Those of the mount points that are in `tree`, rw or rootfs, for no other reason: new, and nothing in them. The layers are given top first. */
export function ownMountPoints(tree: string, layers: readonly string[]): string[] {
  const empty = MOUNT_POINTS.filter((name) => isEmptyDirectory(join(tree, name)));
  if (empty.length === 0) return [];
  const lower = new LowerLayers(layers);
  try {
    return empty.filter((name) => lower.find(name) === undefined);
  } finally {
    lower.close();
  }
}

function isEmptyDirectory(path: string): boolean {
  const isDirectory = lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  return isDirectory && readdirSync(path).length === 0;
}
