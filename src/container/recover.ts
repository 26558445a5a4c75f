// What a container's folder says of it: the record where that is whole, and where it is not, what is known from elsewhere.
//
// A damaged config.json is set aside, and a record is made of the values in it that are sound, the image that userdata.json
// names, and the command line of the lxc-start that runs. So a container whose record is damaged is not lost: it can be
// looked into, logged, stopped, committed and removed. It is not started again: who it ran as and within which limits is not
// known for sure.
//
// DIFFERS D55: to the original a damaged container was a reason not to start.
//
// 2013: container.go, loadContainer, for whom there was no such container

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { layerPaths } from '../filesystem/layer-paths.js';
import { processArguments } from '../linux/process.js';
import { INIT_INSIDE } from '../lxc/lxc-config.js';
import { errorMessage } from '../util/errors.js';
import { goTime } from '../util/go-time.js';
import { isPathTaken, keepAside, setAside } from '../util/set-aside.js';
import { tell } from './container-folder.js';
import { objectIn, readJsonObject, type JsonObject } from './container-file.js';
import { NO_LAYERS, recordProblem, soundPart } from './record-shape.js';
import type { Runtime } from './runtime.js';

/** Ours: the key of a record that was made anew. */
export const RECOVERED = 'Recovered';

/** What was read of a container. */
export interface ReadContainer {
  json: JsonObject;
  userData: JsonObject;
  /** it was made just now, and is on no disk yet */
  isNew: boolean;
}

/** Reads the files of the container in `root`, whose lxc-start has that pid where it runs. */
export async function readContainer(
  runtime: Runtime,
  root: string,
  lxcStartPid: number | undefined,
): Promise<ReadContainer> {
  const userData = await readUserData(runtime, root);
  const path = join(root, 'config.json');
  const found = { sound: {} as JsonObject };
  try {
    const json = readJsonObject(path) ?? {};
    const problem = recordProblem(json);
    if (problem === undefined) return { json, userData, isNew: false };
    if (json[RECOVERED] === true && problem === NO_LAYERS) return again(runtime, json, userData);
    found.sound = soundPart(json);
    if (isPathTaken(path)) {
      tell(runtime.damage, await keepAside(path), `is what ${path} was, which cannot be used: ${problem}`);
    }
  } catch (error) {
    tell(runtime.damage, await setAside(path), `was ${path}, which cannot be used: ${errorMessage(error)}`);
  }
  const json = makeRecord(runtime, root, found.sound, userData, lxcStartPid);
  runtime.damage.add(`the record of container ${root} was made anew, it is not started again: ${whatIsKnown(json)}`, {
    isStillSo: () => isPathTaken(root),
  });
  return { json, userData, isNew: true };
}

/** Whether a container whose making was not finished cannot be read: a power cut came, and nobody knows of it. */
export function wasCutAtCreation(root: string): boolean {
  try {
    const [json, userData] = [readJsonObject(join(root, 'config.json')), readJsonObject(join(root, 'userdata.json'))];
    return json === undefined || userData === undefined || recordProblem(json) !== undefined;
  } catch {
    return true;
  }
}

/** A record that was made anew before, when the image was not known. */
function again(runtime: Runtime, json: JsonObject, userData: JsonObject): ReadContainer {
  const layers = layersOfImage(runtime, userData);
  if (layers.length === 0) return { json, userData, isNew: false };
  return { json: { ...json, Filesystem: { ...objectIn(json, 'Filesystem'), Layers: layers } }, userData, isNew: true };
}

function makeRecord(
  runtime: Runtime,
  root: string,
  sound: JsonObject,
  userData: JsonObject,
  lxcStartPid: number | undefined,
): JsonObject {
  const command = lxcStartPid === undefined ? undefined : runningCommand(lxcStartPid);
  const { Path = command?.path ?? '', Args = command?.args ?? [], State } = sound;
  const Config = { ...objectIn(sound, 'Config'), ...(command === undefined ? {} : { Tty: command.hasTty }) };
  const recorded = objectIn(sound, 'Filesystem')['Layers'];
  const known = layerPaths(runtime.layersPath, recorded);
  const Layers = Array.isArray(recorded) && known.length === recorded.length ? known : layersOfImage(runtime, userData);
  return {
    ...sound,
    Created: sound['Created'] ?? goTime(bornAtMs(root)),
    Path,
    Args,
    Config,
    Filesystem: { ...objectIn(sound, 'Filesystem'), Layers },
    // Where it has run, as far as can be seen: how that ended is in the log of LXC.
    State: State ?? { Running: isPathTaken(join(root, 'lxc.log')) },
    [RECOVERED]: true,
  };
}

/** userdata.json; nothing where it cannot be used. */
async function readUserData(runtime: Runtime, root: string): Promise<JsonObject> {
  const path = join(root, 'userdata.json');
  try {
    const userData = readJsonObject(path) ?? {};
    if (!Object.values(userData).every((value) => typeof value === 'string'))
      throw new Error('not all in it are texts');
    return userData;
  } catch (error) {
    tell(runtime.damage, await setAside(path), `was ${path}, which cannot be used: ${errorMessage(error)}`);
    return {};
  }
}

/** What lxc-start was told to run. */
function runningCommand(pid: number): { path: string; args: string[]; hasTty: boolean } {
  const all = processArguments(pid);
  const words = all.slice(all.indexOf('--') + 1);
  const hasTty = words[0] === INIT_INSIDE;
  const [path = '', ...args] = hasTty ? words.slice(words.indexOf('--') + 1) : words;
  return { path, args, hasTty };
}

function layersOfImage(runtime: Runtime, userData: JsonObject): readonly string[] {
  const { image } = userData;
  return (typeof image === 'string' ? runtime.layersOf(image) : undefined) ?? [];
}

/** userdata.json is written once, with the container. */
function bornAtMs(root: string): number {
  const file = statSync(join(root, 'userdata.json'), { throwIfNoEntry: false });
  const folder = statSync(root);
  return file?.mtimeMs ?? (folder.birthtimeMs > 0 ? folder.birthtimeMs : folder.mtimeMs);
}

function whatIsKnown(json: JsonObject): string {
  const { Path } = json;
  const { Layers } = objectIn(json, 'Filesystem');
  const program = typeof Path === 'string' && Path !== '' ? 'its program is known' : 'its program is not known';
  return `${program}, its layers are ${Array.isArray(Layers) && Layers.length > 0 ? 'known' : 'not'}`;
}
