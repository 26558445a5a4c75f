// What index.json holds, made into images: entry by entry, so that one that is damaged costs no other.
//
// `Index` calls it. What is in the list of ids and got lost in that of names comes back under the name in its id.
//
// 2013: image/image.go, Index.load (encoding/json), which gave up at the first value of a wrong type

import { imageCreatedMs, imageFromJSON, type Image } from './image.js';

/** The histories by name, newest first. */
export type Names = ReadonlyMap<string, readonly Image[]>;

/** The histories in a file, without what is no image. `problem` says what was left out, or was in the wrong place. */
export function parseNames(
  read: Readonly<Record<string, unknown>>,
  layersPath: string,
): { names: Names; problem: string | undefined } {
  const names = new Map<string, Image[]>();
  // Go writes null for what was never made.
  const problems = ['ByName', 'ById'].filter((key) => !isObject(read[key] ?? {}));
  for (const [name, history] of Object.entries(asObject(read['ByName']))) {
    if (!Array.isArray(history)) {
      problems.push(`the history of "${name}"`);
      continue;
    }
    const images = history.flatMap((json: unknown) => imageFromJSON(json, layersPath) ?? []);
    const lost = history.length - images.length;
    if (lost > 0) problems.push(`${lost} of the versions of "${name}"`);
    names.set(name, images);
  }
  const known = byId(names);
  for (const [id, json] of Object.entries(asObject(read['ById']))) {
    if (known.has(id)) continue;
    problems.push(`the id "${id}"`);
    const image = imageFromJSON(json, layersPath);
    if (image?.id === id) putBack(names, image);
  }
  return { names, problem: inWords(problems) };
}

/** The versions by id: of two with one id the newest. */
export function byId(names: Names): Map<string, Image> {
  return new Map([...names.values()].flatMap((history) => [...history].reverse().map((image) => [image.id, image])));
}

/** Whether it is what JSON calls an object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** Among the versions of the name in its id, before those that are older. */
function putBack(names: Map<string, Image[]>, image: Image): void {
  const name = image.id.slice(0, Math.max(0, image.id.lastIndexOf(':')));
  if (name === '') return;
  const history = names.get(name) ?? [];
  const older = history.findIndex((each) => imageCreatedMs(each) <= imageCreatedMs(image));
  history.splice(older < 0 ? history.length : older, 0, image);
  names.set(name, history);
}

function inWords([first, ...others]: readonly string[]): string | undefined {
  if (first === undefined) return undefined;
  return others.length === 0 ? first : `${first} and ${others.length} more`;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {};
}
