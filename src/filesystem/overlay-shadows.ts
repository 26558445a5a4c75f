// What overlay needs beside a layer that deletes something: `above`, which hides the layer's `.wh.` names, and `below`,
// which deletes what they stand for in the layers further down. Both hold nothing but directories on the way and devices
// 0:0, overlay's whiteouts.
//
// They lie in `images/overlay/ID`, beside `images/layers/ID`. A folder without either means that the layer deletes nothing.
//
// The rule that must hold: a directory in `above` looks exactly as the layer's own, since overlay shows the uppermost.

import { readdirSync } from 'node:fs';
import { mkdir, mkdtemp, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { hasCode } from '../linux/libc.js';
import { removeTree } from '../linux/remove-tree.js';
import { temporaryName } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { ABOVE, BELOW, OPAQUE_ROOT } from './build-shadows.js';
import { runTreeJob } from './tree-job.js';

/** The folders around a layer, absolute; undefined where it needs none. */
export interface Shadows {
  above: string | undefined;
  below: string | undefined;
  /** whether the layer hides all below it */
  isOpaque: boolean;
}

/** The folders of each layer, made where they are not there yet. */
export async function shadowsOf(layers: readonly string[]): Promise<Shadows[]> {
  const missing = layers.filter((layer) => namesIn(shadowsFolder(layer)) === undefined);
  if (missing.length > 0) await makeShadows(missing.map((layer) => ({ layer, folder: layer })));
  return layers.map((layer) => {
    const folder = shadowsFolder(layer);
    const names = namesIn(folder) ?? [];
    const find = (name: string): string | undefined => (names.includes(name) ? join(folder, name) : undefined);
    return { above: find(ABOVE), below: find(BELOW), isOpaque: names.includes(OPAQUE_ROOT) };
  });
}

/** Makes the folders of a layer that lies in `folder` as yet. Without whiteout names in it that takes no look at it. */
export async function prepareShadows(layer: string, folder: string, hasWhiteoutNames: boolean): Promise<void> {
  if (hasWhiteoutNames) await makeShadows([{ layer, folder }]);
  else await mkdir(shadowsFolder(layer), { recursive: true, mode: 0o700 });
}

/** Takes the folders of a layer away. */
export async function forgetShadows(layer: string): Promise<void> {
  await removeTree(shadowsFolder(layer));
}

/** Takes the folders away whose layer is not there: a daemon was killed as it came or went. */
export async function forgetStrayShadows(layersPath: string): Promise<void> {
  const layers = new Set(namesIn(layersPath));
  const strays = (namesIn(dirname(shadowsFolder(join(layersPath, '_')))) ?? []).filter((name) => !layers.has(name));
  for (const name of strays) await forgetShadows(join(layersPath, name));
}

function shadowsFolder(layer: string): string {
  return join(dirname(dirname(layer)), 'overlay', basename(layer));
}

async function makeShadows(layers: readonly { layer: string; folder: string }[]): Promise<void> {
  const made: { layer: string; folder: string; target: string }[] = [];
  try {
    for (const { layer, folder } of layers) {
      await mkdir(dirname(shadowsFolder(layer)), { recursive: true, mode: 0o700 });
      // Beside the layers, where what a killed daemon leaves is taken away at the next start.
      made.push({ layer, folder, target: await mkdtemp(join(dirname(layer), temporaryName(''))) });
    }
    try {
      await runTreeJob({ job: 'shadows', layers: made.map(({ folder, target }) => ({ layer: folder, target })) });
    } catch (cause) {
      const names = layers.map(({ layer }) => layer).join(', ');
      throw new Error(`Cannot make what overlay needs beside ${names}: ${errorMessage(cause)}`, { cause });
    }
    for (const { layer, target } of made) await renameUnlessThere(target, shadowsFolder(layer));
  } finally {
    for (const { target } of made) await removeTree(target);
  }
}

/** Two may have made the same: the first one counts. */
async function renameUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** Not by a promise: an image may have a hundred layers, and this is asked at each mount. */
function namesIn(folder: string): string[] | undefined {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}
