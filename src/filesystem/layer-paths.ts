// The layers that a record names, where they lie now: the original wrote absolute paths, and a data directory may have
// been moved since. Only the last part of a path counts, and only where it names something inside the folder of layers.

import { basename, join } from 'node:path';

/** Absolute paths below `layersPath` for what `recorded` names; what is no name of a layer is left out. */
export function layerPaths(layersPath: string, recorded: unknown): string[] {
  if (!Array.isArray(recorded)) return [];
  return recorded.flatMap((path: unknown) => {
    const name = typeof path === 'string' ? basename(path) : '';
    return name === '' || name.startsWith('.') ? [] : [join(layersPath, name)];
  });
}
