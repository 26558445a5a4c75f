// config.json and userdata.json: what a container is, on disk, with the keys and in the layout of 2013.
//
// What stands in a file and is not known here (a newer version's, a network's, a person's) survives a rewrite.
//
// 2013: container.go, Container.save, loadContainer, saveUserData and loadUserData

import { errorMessage } from '../util/errors.js';
import { goMarshal, membersFromParsed, type GoValue } from '../util/go-json.js';
import { readRegularFile } from '../util/regular-file.js';

/** Both files have this mode in the original. */
export const CONTAINER_FILE_MODE = 0o700;

/** An object as JSON.parse makes it. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads an object; undefined where there is no such file. Throws with its name, and why it cannot be used. */
export function readJsonObject(path: string): JsonObject | undefined {
  let value: unknown;
  try {
    const text = readRegularFile(path);
    if (text === undefined) return undefined;
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`Cannot read ${path}: ${errorMessage(cause)}`, { cause });
  }
  if (!isObject(value)) throw new Error(`Cannot read ${path}: it holds no JSON object`);
  return value;
}

/** The member `key` where it is an object; else an empty one. */
export function objectIn(json: JsonObject, key: string): JsonObject {
  const value = json[key];
  return isObject(value) ? value : {};
}

/** The text of a file: what is known, in its order, then what was read and is not known. */
export function withUnknownKeys(known: Readonly<Record<string, GoValue>>, read: JsonObject): string {
  return goMarshal(merge(known, read));
}

/**
 * What of an object that was read is not known: all of it that `withUnknownKeys` needs. The values in `known` do not matter.
 * There is mostly nothing, and that is one object for all.
 */
export function unknownPart(known: Readonly<Record<string, GoValue>>, read: JsonObject): JsonObject {
  const unknown = Object.entries(read).flatMap(([key, value]): [string, unknown][] => {
    const like = Object.hasOwn(known, key) ? known[key] : undefined;
    if (like === undefined) return [[key, value]];
    if (!isKnownObject(like) || !isObject(value)) return [];
    const part = unknownPart(like, value);
    return part === NOTHING ? [] : [[key, part]];
  });
  return unknown.length === 0 ? NOTHING : Object.fromEntries(unknown);
}

const NOTHING: JsonObject = {};

function merge(known: Readonly<Record<string, GoValue>>, read: JsonObject): GoValue {
  const merged = Object.entries(known).map(([key, value]): [string, GoValue] => {
    const before = read[key];
    // One level down as well: Config, Filesystem and State are objects that may hold more than is known here.
    return [key, isKnownObject(value) && isObject(before) ? merge(value, before) : value];
  });
  const unknown = Object.entries(read).filter(([key]) => !Object.hasOwn(known, key));
  return { ...Object.fromEntries(merged), ...membersFromParsed(Object.fromEntries(unknown)) };
}

/** Whether it is what JSON calls an object. */
export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function isKnownObject(value: GoValue): value is Readonly<Record<string, GoValue>> {
  return isObject(value) && !(value instanceof Map);
}
