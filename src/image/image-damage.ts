// What is not as it should be among the images on disk, beside the index itself: layers that are missing or are no folders,
// an index that is not there, and what somebody else has put between them.
//
// `Store.open` calls it. Nothing is removed: what is in the way is set aside, what only lies there is named and left alone.
//
// 2013: none

import { lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { isTemporary } from '../util/atomic-file.js';
import type { DamageReport } from '../util/damage-report.js';
import { kindOf } from '../util/regular-file.js';
import { findAside, freePath, isPathTaken, nameBeforeAside, setAside } from '../util/set-aside.js';
import type { Index } from './index-store.js';

/** As `LayerStore` names them. */
const LAYER_NAME = /^[0-9a-f]{16}$/;
/** What lies in the folder of images; `overlay` is what that driver keeps beside the layers. */
const OWN_NAMES: readonly string[] = ['index.json', 'layers', 'overlay'];
const MODE = 0o600;

/** Sets aside what has the name of a layer and is no folder, so that the layer can come again; names what is no layer at all. */
export async function setForeignLayersAside(root: string, layersPath: string, damage: DamageReport): Promise<void> {
  for (const entry of readdirSync(layersPath, { withFileTypes: true })) {
    const path = join(layersPath, entry.name);
    if (isTemporary(entry.name)) continue; // what could not be removed was told
    if (!LAYER_NAME.test(entry.name)) reportForeign(path, nameBeforeAside(entry.name) !== undefined, damage);
    else if (!entry.isDirectory())
      damage.add(`${path} is ${kindOf(entry)}, and no layer: it is ${await setAside(path)} now`);
  }
  for (const name of readdirSync(root)) {
    if (OWN_NAMES.includes(name) || isTemporary(name) || OWN_NAMES.includes(nameBeforeAside(name) ?? '')) continue;
    reportForeign(join(root, name), false, damage);
  }
}

/**
 * There is no index, and there are layers: puts a file in the place of what would be set aside, so that the layers are kept
 * until somebody takes it away, also by the next daemon, which finds an index.
 */
export async function standInForIndex(path: string, damage: DamageReport): Promise<void> {
  if (findAside(path).length > 0) return; // it was damaged: that is told
  const note = freePath(path);
  writeFileSync(note, `${basename(path)} was missing, and there were layers.\n`, { flag: 'wx', mode: MODE });
  damage.add(`${path} is missing, and there are layers: none is freed until somebody takes ${note} away`, {
    isStillSo: () => isPathTaken(note),
    needsLayers: true,
  });
}

/** Names the layers that images have and that are not there. The images stay: a layer may come back. */
export function reportMissingLayers(index: Index, damage: DamageReport): void {
  const seen = new Set<string>();
  for (const name of index.names) {
    for (const { id, layers } of index.history(name)) {
      for (const layer of layers) {
        if (seen.has(layer)) continue;
        seen.add(layer);
        if (isFolder(layer)) continue;
        const isStillSo = (): boolean => index.usesLayer(layer) && !isFolder(layer);
        damage.add(`${layer} is missing, a layer of the image ${id}: what needs it cannot run`, { isStillSo });
      }
    }
  }
}

function reportForeign(path: string, isAside: boolean, damage: DamageReport): void {
  const what = isAside ? 'was set aside earlier' : 'is not of tsdock: it is left alone';
  damage.add(`${path} ${what}`, { isStillSo: () => isPathTaken(path) });
}

function isFolder(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
