// Images and their layers together: what `put` and `pull` add to.
//
// 2013: image/image.go, Store

import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { goTime } from '../util/go-time.js';
import { Index } from './index-store.js';
import { newImage, type Image } from './image.js';
import { LayerStore } from './layer-store.js';

/** See the head of the file. */
export class Store {
  private constructor(
    readonly index: Index,
    readonly layers: LayerStore,
  ) {}

  /** Opens the images in the folder `root`, and makes it where it is missing. 2013: image.go, New */
  static async open(root: string): Promise<Store> {
    const layers = await LayerStore.open(join(root, 'layers'));
    return new Store(await Index.open(join(root, 'index.json'), layers.path), layers);
  }

  /** Makes an archive the newest version of the image `name`. 2013: Store.Import and Store.Create */
  async import(name: string, archive: Readable): Promise<Image> {
    // DIFFERS D08: the original took an empty name.
    if (name === '') throw new Error('Illegal image name');
    const layer = await this.layers.addLayer(archive);
    return this.index.add(name, newImage(name, [layer], goTime(Date.now())));
  }
}
