// Giving images their names back after the index was lost: each container knows the image that it was made from, by id,
// and the layers of that. The id says whether both belong together, as it is made from the layers.
//
// The daemon calls it at its start, when all containers are known. An image that no container was made from stays lost; its
// layers are kept, as all are then.
//
// 2013: none

import { lstatSync } from 'node:fs';
import type { Docker } from '../container/docker.js';
import { newImage } from '../image/image.js';
import type { Store } from '../image/store.js';
import type { DamageReport } from '../util/damage-report.js';
import { errorMessage } from '../util/errors.js';

/** See the head of the file. Nothing is done where there is an index. */
export async function rebuildIndex(images: Store, containers: Docker, damage: DamageReport): Promise<void> {
  if (!images.isIndexLost) return;
  const found: string[] = [];
  try {
    // The oldest first, so that the newest version of a name is added last.
    for (const container of containers.list().reverse()) {
      const { layers, created } = container;
      const id = container.userData('image');
      const name = id.slice(0, Math.max(0, id.lastIndexOf(':')));
      const image = newImage(name, layers, created);
      const isWhole = name !== '' && image.id === id && layers.every(isFolder);
      if (!isWhole || images.index.find(id) !== undefined) continue;
      await images.index.add(name, image);
      found.push(id);
    }
  } catch (error) {
    damage.add(errorMessage(error));
  }
  if (found.length === 0) return;
  const names = found.map((id) => JSON.stringify(id)).join(', ');
  damage.add(`the index of images was lost; known again from containers, with the time of these: ${names}`);
}

function isFolder(layer: string): boolean {
  return lstatSync(layer, { throwIfNoEntry: false })?.isDirectory() === true;
}
