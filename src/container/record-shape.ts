// Whether an object that was read from config.json is the record of a container: each value that is known here has its type.
//
// `recover.ts` asks. A value of another type is not taken for a missing one: a user that is no text would be root, a limit
// that is no number none.
//
// 2013: encoding/json, for which a value of another type was an error

import { areLayers } from '../filesystem/layer-paths.js';
import { goTimeMs } from '../util/go-time.js';
import { isObject, objectIn, type JsonObject } from './container-file.js';

/** What is wrong with a record whose layers are missing, or are no names of layers. */
export const NO_LAYERS = 'its layers are no layers';

/** The values that a record may have, and their types. */
const SHAPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  Created: isTime,
  Path: isText,
  Args: isTextsOrNull,
  Config: isObject,
  Filesystem: isObject,
  State: isObject,
};
const NEEDED: readonly string[] = ['Path', 'Config', 'Filesystem'];
const CONFIG_SHAPES: typeof SHAPES = {
  Hostname: isText,
  User: isText,
  Term: isText,
  Net: isText,
  Ram: Number.isInteger,
  Ports: isListOrNull,
  PortSpecs: isTextsOrNull,
  Tty: isBoolean,
  OpenStdin: isBoolean,
};
const STATE_SHAPES: typeof SHAPES = {
  Running: isBoolean,
  Pid: Number.isSafeInteger,
  ExitCode: Number.isSafeInteger,
  StartTicks: Number.isSafeInteger,
  Signal: Number.isSafeInteger,
  StartedAt: isTime,
  FinishedAt: isTime,
};

/** Why an object is no record of a container; undefined where it is one. */
export function recordProblem(json: JsonObject): string | undefined {
  const missing = NEEDED.find((key) => json[key] === undefined);
  if (missing !== undefined) return `it has no ${missing}`;
  const wrong =
    misfit(json, SHAPES) ??
    misfit(objectIn(json, 'Config'), CONFIG_SHAPES) ??
    misfit(objectIn(json, 'State'), STATE_SHAPES);
  if (wrong !== undefined) return `its ${wrong} is of another type`;
  return areLayers(objectIn(json, 'Filesystem')['Layers']) ? undefined : NO_LAYERS;
}

/** The members of the right type, also of Config and State. */
export function soundPart(json: JsonObject): JsonObject {
  const keep = (object: JsonObject, shapes: typeof SHAPES): JsonObject =>
    Object.fromEntries(Object.entries(object).filter(([key, value]) => shapes[key]?.(value) !== false));
  const sound = keep(json, SHAPES);
  const State = isObject(sound['State']) ? { State: keep(sound['State'], STATE_SHAPES) } : {};
  return { ...sound, ...State, Config: keep(objectIn(sound, 'Config'), CONFIG_SHAPES) };
}

function misfit(object: JsonObject, shapes: typeof SHAPES): string | undefined {
  return Object.keys(shapes).find((key) => object[key] !== undefined && shapes[key]?.(object[key]) === false);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTime(value: unknown): boolean {
  return isText(value) && !Number.isNaN(goTimeMs(value));
}

function isBoolean(value: unknown): boolean {
  return typeof value === 'boolean';
}

function isListOrNull(value: unknown): boolean {
  return value === null || Array.isArray(value);
}

function isTextsOrNull(value: unknown): boolean {
  return value === null || (Array.isArray(value) && value.every(isText));
}
