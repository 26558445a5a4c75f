// The layers of all images: folders that are written once and never changed, named by what is in them.
//
// A layer is unpacked into a temporary folder beside the others and renamed when it is whole, so no half-made one is ever
// seen; what a killed daemon leaves is removed at the next start. A layer that nothing uses any more is freed: it goes
// from sight in one step, and is removed afterwards.
//
// The rule that must hold: a layer that is on record in an image or a container, or held by somebody who is about to put
// it there, is not freed. Layers come and go one at a time, so that none is found there by one while another takes it away.
//
// DIFFERS D22: the original never freed a layer.
//
// 2013: image/layers.go, LayerStore

import { chmod, mkdir, mkdtemp, readdir, rename, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Readable } from 'node:stream';
import { importLayer, type ImportedLayer } from '../archive/import-layer.js';
import { hasCode } from '../linux/libc.js';
import { removeTree } from '../linux/remove-tree.js';
import { syncFileSystem } from '../linux/sync.js';
import { removeTemporaries, renameDurably, temporaryName } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { shortDigest } from '../util/ids.js';
import { step, timedStep } from '../util/steps.js';

/** What the root of a layer is where the archive does not tell. */
const ROOT_MODE = 0o755;
/** What this store names a layer. Whatever else lies in the folder is not its to free. */
const LAYER_NAME = /^[0-9a-f]{16}$/;

/** Who else has to do with layers. */
export interface LayerHooks {
  /** A layer arrives: `folder` is whole, and is renamed to `layer` next. Where this rejects, it is not. */
  onArrival?(layer: string, folder: string, imported: ImportedLayer): Promise<void>;
  /** A layer is gone, or has not got as far as its name after it arrived. */
  onGone?(layer: string): Promise<void>;
  /** A line for the daemon's log: what no caller is there to be told. */
  log?(line: string): void;
}

/** See the head of the file. */
export class LayerStore {
  readonly #hooks: LayerHooks;
  /** until somebody can tell, each layer counts as used */
  #isUsed: (layer: string) => boolean = () => true;
  /** by path, how many hold it */
  readonly #held = new Map<string, number>();
  /** what could not be freed */
  readonly #unfreed = new Set<string>();
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(
    /** the folder of all layers, absolute */
    readonly path: string,
    hooks: LayerHooks,
  ) {
    this.#hooks = hooks;
  }

  /** Opens the folder, makes it where it is missing, and removes what is half-made in it. 2013: NewLayerStore and Init */
  static async open(path: string, hooks: LayerHooks = {}): Promise<LayerStore> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await removeTemporaries(path, (left) =>
      removeTree(left).catch((error: unknown) => hooks.log?.(errorMessage(error))),
    );
    return new LayerStore(path, hooks);
  }

  /** Says how to know whether an image or a container on record uses the layer of that path. Before, none is freed. */
  setUsers(isUsed: (layer: string) => boolean): void {
    this.#isUsed = isUsed;
  }

  /** The folders of all layers, sorted. 2013: LayerStore.List */
  async list(): Promise<string[]> {
    const names = await readdir(this.path);
    return names.filter((name) => LAYER_NAME.test(name)).sort().map((name) => join(this.path, name)); // prettier-ignore
  }

  /**
   * Unpacks an archive (plain or compressed) as a layer, and does `use` with the layer's folder, which puts it on record:
   * the layer is held meanwhile. Resolves with what `use` does. Rejects, with nothing left behind, where the archive, the
   * disk or `use` fails. 2013: LayerStore.AddLayer
   */
  async addLayer<T>(archive: Readable, use: (layer: string) => Promise<T>): Promise<T> {
    archive.on('error', ignore); // it may break off at any moment, also before it is read; its reader is told
    const temporary = await mkdtemp(join(this.path, temporaryName('')));
    try {
      await chmod(temporary, ROOT_MODE);
      const unpack = (): Promise<ImportedLayer> => importLayer(archive, temporary);
      const facts = (): Record<string, unknown> => ({ temporary });
      const imported = await timedStep('unpack', 'image/layers.go, LayerStore.AddLayer', facts, unpack);
      const layer = join(this.path, shortDigest(imported.digest));
      // A layer is never written again: one that a power cut finds half on the disk would stay so.
      if (!(await isDirectory(layer))) await syncFileSystem(temporary);
      const release = await this.#inTurn(() => this.#place(layer, temporary, imported));
      try {
        return await use(layer);
      } finally {
        await release();
      }
    } finally {
      archive.off('error', ignore);
      await this.#remove(temporary);
    }
  }

  /**
   * Keeps layers from being freed while they are used by what is not on record yet. To be called in the same turn in
   * which they were found on record. The function returned lets go, and frees those that nothing uses by then.
   */
  hold(layers: readonly string[]): () => Promise<void> {
    for (const layer of layers) this.#held.set(layer, (this.#held.get(layer) ?? 0) + 1);
    let isHolding = true;
    return async () => {
      if (!isHolding) return;
      isHolding = false;
      for (const layer of layers) {
        const others = (this.#held.get(layer) ?? 0) - 1;
        if (others > 0) this.#held.set(layer, others);
        else this.#held.delete(layer);
      }
      await this.free(layers);
    };
  }

  /**
   * Frees those of the layers that nothing uses. Resolves when their folders are gone. What cannot be freed is no failure of
   * whoever used it last: the log is told, and the next call tries it again, as the next start does.
   */
  async free(layers: Iterable<string>): Promise<void> {
    const candidates = [...new Set([...layers, ...this.#unfreed])];
    if (!candidates.some((layer) => this.#isFree(layer))) return; // most calls: they need not wait for others
    const doomed: string[] = [];
    for (const layer of candidates) {
      try {
        this.#unfreed.delete(layer);
        await this.#inTurn(() => this.#takeAway(layer, doomed));
      } catch (error) {
        this.#unfreed.add(layer);
        this.#hooks.log?.(`Cannot free layer ${layer}: ${errorMessage(error)}`);
      }
    }
    for (const folder of doomed) await this.#remove(folder);
  }

  /** Frees all layers that nothing uses. */
  async freeUnused(): Promise<void> {
    await this.free(await this.list());
  }

  /** Removes a folder that nobody sees. One that cannot be removed now is removed at the next start. */
  async #remove(folder: string): Promise<void> {
    await removeTree(folder).catch((error: unknown) => this.#hooks.log?.(errorMessage(error)));
  }

  #isFree(layer: string): boolean {
    return LAYER_NAME.test(basename(layer)) && !this.#held.has(layer) && !this.#isUsed(layer);
  }

  /** Makes the temporary folder the layer, unless that is there already, and holds it. */
  async #place(layer: string, temporary: string, imported: ImportedLayer): Promise<() => Promise<void>> {
    if (await isDirectory(layer)) return this.hold([layer]);
    await this.#hooks.onArrival?.(layer, temporary, imported);
    try {
      await renameDurably(temporary, layer); // what is on record must be there, also after a power cut
    } catch (error) {
      await this.#hooks.onGone?.(layer);
      throw error;
    }
    return this.hold([layer]);
  }

  /** Gives the layer a temporary name, which is added to `doomed`, if it is still free. */
  async #takeAway(layer: string, doomed: string[]): Promise<void> {
    // From here to the rename nobody can come to use it: only what is on record, or held, is found.
    if (!this.#isFree(layer)) return;
    const temporary = join(this.path, temporaryName(basename(layer)));
    try {
      await rename(layer, temporary);
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return;
      throw error;
    }
    doomed.push(temporary);
    step('free', 'image/layers.go, LayerStore', () => ({ layer }));
    await this.#hooks.onGone?.(layer);
  }

  /** Does one change of what layers there are after the other. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const changed = this.#changing.then(change);
    this.#changing = changed.catch(ignore); // whoever asked for it is told
    return changed;
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
