// The layers of all images: folders that are written once and never changed, named by what is in them.
//
// A layer is unpacked into a temporary folder beside the others and renamed when it is whole, so no half-made one is ever
// seen; what a killed daemon leaves is removed at the next start.
//
// 2013: image/layers.go, LayerStore

import { chmod, mkdir, mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { importLayer } from '../archive/import-layer.js';
import { hasCode } from '../linux/libc.js';
import { removeTemporaries, syncFolder, temporaryName } from '../util/atomic-file.js';
import { shortDigest } from '../util/ids.js';
import { timedStep } from '../util/steps.js';

/** What the root of a layer is where the archive does not tell. */
const ROOT_MODE = 0o755;

/** See the head of the file. */
export class LayerStore {
  private constructor(
    /** the folder of all layers, absolute */
    readonly path: string,
  ) {}

  /** Opens the folder, makes it where it is missing, and removes what is half-made in it. 2013: NewLayerStore and Init */
  static async open(path: string): Promise<LayerStore> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await removeTemporaries(path);
    return new LayerStore(path);
  }

  /**
   * Unpacks an archive (plain or compressed) as a layer. Resolves with the layer's folder. Rejects, with nothing left
   * behind, where the archive or the disk fails. 2013: LayerStore.AddLayer
   */
  async addLayer(archive: Readable): Promise<string> {
    archive.on('error', ignore); // it may break off at any moment, also before it is read; its reader is told
    const temporary = await mkdtemp(join(this.path, temporaryName('')));
    try {
      await chmod(temporary, ROOT_MODE);
      const unpack = (): Promise<{ digest: string }> => importLayer(archive, temporary);
      const facts = (): Record<string, unknown> => ({ temporary });
      const { digest } = await timedStep('unpack', 'image/layers.go, LayerStore.AddLayer', facts, unpack);
      const layer = join(this.path, shortDigest(digest));
      if (await this.#renameUnlessThere(temporary, layer)) await syncFolder(this.path);
      return layer;
    } finally {
      archive.off('error', ignore);
      await rm(temporary, { recursive: true, force: true });
    }
  }

  /** False where the same layer is there already, perhaps since a moment ago. */
  async #renameUnlessThere(temporary: string, layer: string): Promise<boolean> {
    if (await isDirectory(layer)) return false;
    try {
      await rename(temporary, layer);
      return true;
    } catch (error) {
      if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false;
      throw error;
    }
  }
}

function ignore(): void {
  // see where it is used
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}
