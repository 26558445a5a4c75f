// Identifiers of containers, and of images made of layers.
//
// 2013: future/future.go, RandomId and ComputeId; image/image.go, generateImageId

import { createHash, randomBytes } from 'node:crypto';

/** A container id: eight hex digits, random. */
export function randomId(): string {
  return randomBytes(4).toString('hex');
}

/** The id of a sha256 (64 hex digits): its first eight bytes, in hex. */
export function shortDigest(sha256Hex: string): string {
  return sha256Hex.slice(0, 16);
}

/** The hash part of an image id: the layer's own id for one layer, else a digest over the layer ids, top first. */
export function imageHash(layerIds: readonly string[]): string {
  const [only] = layerIds;
  if (layerIds.length === 1 && only !== undefined) return only;
  return shortDigest(createHash('sha256').update(layerIds.join('')).digest('hex'));
}
