// The layers that a record names, where they lie now: the original wrote absolute paths, and a data directory may have
// been moved since. Only the last part of a path counts, and only where it names something inside the folder of layers.

import { lstatSync } from 'node:fs';
import { basename, join } from 'node:path';

/** No name of a layer has anything that means something in the options of a mount, or leads elsewhere. */
const LAYER_NAME = /^\w[\w.-]*$/;

/**
 * Absolute paths below `layersPath` for what `recorded` names; what is no name of a layer is left out. Where they are those
 * of an image, `likely`, it is that list itself: a thousand containers of one image have one.
 */
export function layerPaths(layersPath: string, recorded: unknown, likely?: readonly string[]): readonly string[] {
  if (!Array.isArray(recorded)) return [];
  if (likely?.length === recorded.length && likely.every((path, at) => isOfName(path, recorded[at]))) return likely;
  return recorded.flatMap((path: unknown) => (isLayer(path) ? [join(layersPath, basename(path))] : []));
}

/** Whether `layerPaths` leaves nothing out of what is recorded, and that is a layer at least. */
export function areLayers(recorded: unknown): boolean {
  return Array.isArray(recorded) && recorded.length > 0 && recorded.every(isLayer);
}

/** Throws where a layer is not there as a folder: what is made of the others would be another tree. */
export function checkLayers(layers: readonly string[]): void {
  if (layers.length === 0) throw new Error('Cannot use the file system: its layers are not known');
  for (const layer of layers) {
    const isFolder = lstatSync(layer, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isFolder) throw new Error(`Cannot use the file system: its layer ${layer} is missing`);
  }
}

function isLayer(recorded: unknown): recorded is string {
  return typeof recorded === 'string' && LAYER_NAME.test(basename(recorded));
}

function isOfName(path: string, recorded: unknown): boolean {
  return path === recorded || (typeof recorded === 'string' && basename(path) === basename(recorded));
}
