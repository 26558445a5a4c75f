// Images and their layers together: what `put` and `pull` add to.
//
// 2013: image/image.go, Store

import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { DamageReport } from '../util/damage-report.js';
import { goTime } from '../util/go-time.js';
import { Index } from './index-store.js';
import { newImage, type Image } from './image.js';
import { reportMissingLayers, setForeignLayersAside, standInForIndex } from './image-damage.js';
import { LayerStore, type LayerHooks } from './layer-store.js';

/** See the head of the file. */
export class Store {
  private constructor(
    readonly index: Index,
    readonly layers: LayerStore,
    /** There are layers, and there was no index that could be read: the names of the images are lost. */
    readonly isIndexLost: boolean,
  ) {}

  /** Opens the images in the folder `root`, and makes it where it is missing. `damage` is told. 2013: image.go, New */
  static async open(root: string, hooks: LayerHooks = {}, damage = new DamageReport()): Promise<Store> {
    const layers = await LayerStore.open(join(root, 'layers'), hooks);
    const path = join(root, 'index.json');
    const index = await Index.open(path, layers.path, damage);
    await setForeignLayersAside(root, layers.path, damage);
    const isIndexLost = index.isMissing && (await layers.list()).length > 0;
    // An index that has got lost is not one without images. So that the two differ, there is one from the start.
    if (isIndexLost) await standInForIndex(path, damage);
    if (index.isMissing) await index.save();
    reportMissingLayers(index, damage);
    return new Store(index, layers, isIndexLost);
  }

  /** Makes an archive the newest version of the image `name`. 2013: Store.Import */
  import(name: string, archive: Readable): Promise<Image> {
    return this.create(name, archive, [], '');
  }

  /**
   * As `import`, with the archive as the layer on top of others (absolute paths, top first), which are those of the image
   * `parent`. 2013: Store.Create
   */
  async create(name: string, archive: Readable, below: readonly string[], parent: string): Promise<Image> {
    // DIFFERS D08: the original took an empty name.
    if (name === '') throw new Error('Illegal image name');
    const release = this.layers.hold(below);
    try {
      return await this.layers.addLayer(archive, (layer) =>
        this.index.add(name, newImage(name, [layer, ...below], goTime(Date.now()), parent)),
      );
    } finally {
      await release();
    }
  }
}
