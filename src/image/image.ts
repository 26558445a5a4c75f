// One version of an image: a name, and the layers that make it, top first.
//
// 2013: image/image.go, Image, NewImage and generateImageId

import { basename } from 'node:path';
import { layerPaths } from '../filesystem/layer-paths.js';
import { membersFromParsed, type GoValue } from '../util/go-json.js';
import { goTimeMs, ZERO_TIME } from '../util/go-time.js';
import { imageHash } from '../util/ids.js';

/** See the head of the file. */
export interface Image {
  /** `name:hash` */
  readonly id: string;
  /** absolute paths, top first */
  readonly layers: readonly string[];
  /** as in JSON */
  readonly created: string;
  /** the id of the image that it was made from; empty where there is none */
  readonly parent: string;
  /** what else index.json says of it, which is kept */
  readonly unknown?: Readonly<Record<string, GoValue>>;
}

/** A new version of the image `name`, made of these layers. */
export function newImage(name: string, layers: readonly string[], created: string, parent = ''): Image {
  const hash = imageHash(layers.map((layer) => basename(layer)));
  return { id: `${name}:${hash}`, layers, created, parent };
}

/** When it was made, in milliseconds since 1970. */
export function imageCreatedMs(image: Image): number {
  return goTimeMs(image.created);
}

/** As in index.json, and as `inspect` prints it. */
export function imageToJSON({ id, layers, created, parent, unknown }: Image): Record<string, GoValue> {
  return { Id: id, Layers: layers, Created: created, Parent: parent, ...unknown };
}

/**
 * From index.json. The layers are looked for in `layersPath`, wherever they lay when it was written. Undefined for what is
 * no image, or has a layer that is no name.
 */
export function imageFromJSON(json: unknown, layersPath: string): Image | undefined {
  if (json === null || typeof json !== 'object') return undefined;
  const { Id, Layers, Created, Parent, ...rest } = json as Readonly<Record<string, unknown>>; // each is checked below
  if (typeof Id !== 'string' || !Array.isArray(Layers)) return undefined;
  const layers = layerPaths(layersPath, Layers);
  if (layers.length !== Layers.length) return undefined;
  const text = (value: unknown, standard: string): string => (typeof value === 'string' ? value : standard);
  return {
    id: Id,
    layers,
    created: text(Created, ZERO_TIME),
    parent: text(Parent, ''),
    ...(Object.keys(rest).length === 0 ? {} : { unknown: membersFromParsed(rest) }),
  };
}
