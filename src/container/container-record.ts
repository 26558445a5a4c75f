// What a container is: what it was asked to be, the folder that it lives in, and its record there, config.json.
//
// `Container` adds what happens to it.
//
// The rule that must hold: before anybody is told of a new container, what its folder has is on the disk, and from then on a
// reader finds the whole old or the whole new record.
//
// 2013: container.go, Container, createContainer and Container.save

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Filesystem } from '../filesystem/filesystem.js';
import { checkLayers, layerPaths } from '../filesystem/layer-paths.js';
import { FORM_FILE } from '../filesystem/rw.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { syncPath, temporaryName, writeFileAtomically, writeFileUnsynced } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goMarshal, type GoValue } from '../util/go-json.js';
import { goTime, goTimeMs, ZERO_TIME } from '../util/go-time.js';
import { step } from '../util/steps.js';
import { configFromJSON, configToJSON, type Config } from './config.js';
import { CONTAINER_FILE_MODE, objectIn, unknownPart, withUnknownKeys, type JsonObject } from './container-file.js';
import { UNSYNCED } from './container-folder.js';
import { LogStore } from './log-store.js';
import { networkSettingsToJSON } from './network-settings.js';
import { RECOVERED } from './recover.js';
import type { Runtime } from './runtime.js';
import { State } from './state.js';

/** How often what the disk did not take is tried again, in milliseconds. */
const SAVE_RETRY_MS = 500;
/** What `toJSON` has, so that nothing else of a file need be kept. The values do not matter. */
const KNOWN: Readonly<Record<string, GoValue>> = {
  Id: '',
  Root: '',
  Created: '',
  Path: '',
  Args: [],
  Config: configToJSON(configFromJSON({}, '')),
  Filesystem: { RootFS: '', RWPath: '', Layers: [] },
  State: new State().toJSON(),
  NetworkSettings: networkSettingsToJSON(undefined),
  SysInitPath: '',
};
/** What a container waits for that has nothing to wait for: one for all, as there may be thousands. */
const DONE = Promise.resolve();

/** What a new container is made from. */
export interface NewContainer {
  id: string;
  path: string;
  args: readonly string[];
  /** absolute paths of the layers, top first */
  layers: readonly string[];
  config: Omit<Config, 'hostname'>;
  userData: Readonly<Record<string, string>>;
}

/** What the files of a container say. */
export interface RecordFiles {
  /** config.json */
  json: JsonObject;
  /** userdata.json */
  userData: JsonObject;
  /** what a new container's folder has may not be on the disk yet */
  isUnsynced: boolean;
}

/** See the head of the file. */
export class ContainerRecord {
  readonly id: string;
  /** as in JSON */
  readonly created: string;
  /** the same, in milliseconds since 1970 */
  readonly createdAtMs: number;
  readonly path: string;
  readonly args: readonly string[];
  readonly config: Config;
  /** absolute paths, top first */
  readonly layers: readonly string[];
  readonly state: State;
  /** whether its file says which layers it has */
  readonly hasKnownLayers: boolean;
  /** what the run that is under way has of the bridge */
  network: NetworkInterface | undefined;

  protected readonly runtime: Runtime;
  /** what config.json had when it was read that is not known here */
  readonly #unknown: JsonObject;
  readonly #userData: JsonObject;
  /** whether config.json said, in our keys, that it had never run */
  readonly #hadNotRun: boolean;
  /** made for the first who asks, as is the next: most of many stopped containers are only listed */
  #filesystem: Filesystem | undefined;
  #logs: LogStore | undefined;
  #saving = DONE;
  #isUnsynced: boolean;

  protected constructor(runtime: Runtime, id: string, { json, userData, isUnsynced }: RecordFiles) {
    const texts = (value: unknown): string[] =>
      Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
    this.runtime = runtime;
    this.#isUnsynced = isUnsynced;
    this.#unknown = unknownPart(KNOWN, json);
    this.#userData = userData;
    this.id = id;
    this.created = textOr(json['Created'], goTime(0));
    this.createdAtMs = goTimeMs(this.created);
    this.path = textOr(json['Path'], '');
    this.args = texts(json['Args']);
    this.config = configFromJSON(objectIn(json, 'Config'), id);
    // Layers and folders are where the data directory lies now, wherever it was when the file was written.
    const recorded = objectIn(json, 'Filesystem')['Layers'];
    this.layers = layerPaths(runtime.layersPath, recorded, runtime.layersOf(this.userData('image')));
    this.hasKnownLayers = this.layers.length > 0 && Array.isArray(recorded) && recorded.length === this.layers.length;
    const state = objectIn(json, 'State');
    this.state = State.fromJSON(state);
    this.#hadNotRun = state['StartedAt'] === ZERO_TIME && state['StartTicks'] === 0;
  }

  /** Whether what its folder has may not be on the disk yet: the next `save` sees to that. */
  get isUnsynced(): boolean {
    return this.#isUnsynced;
  }

  /** Its folder. */
  get root(): string {
    return join(this.runtime.containersPath, this.id);
  }

  get filesystem(): Filesystem {
    const { driver, log } = this.runtime;
    return (this.#filesystem ??= new Filesystem(
      join(this.root, 'rootfs'),
      join(this.root, 'rw'),
      this.layers,
      driver,
      log,
    ));
  }

  get logs(): LogStore {
    return (this.#logs ??= new LogStore(this.root, this.id, this.runtime.logMaxBytes));
  }

  /** What userdata.json says: `image`, `comment`; empty where it does not. 2013: Container.GetUserData */
  userData(key: string): string {
    return Object.hasOwn(this.#userData, key) ? textOr(this.#userData[key], '') : '';
  }

  /** The program and its arguments, in one line. */
  get commandLine(): string {
    // QUIRK Q01: without arguments it ends in a space, which `ps` shows.
    return `${this.path} ${this.args.join(' ')}`;
  }

  /** Whether its record was damaged and made anew: then what it is to run as, and within which limits, is not known. */
  get isRecovered(): boolean {
    return this.#unknown[RECOVERED] === true;
  }

  /**
   * Whether the `run` that made it was cut by the end of its daemon before the program began: nobody was told its id. An
   * original has none of our keys, and its containers of that kind are kept.
   *
   * DIFFERS D50: the original had them as `Exit 0` from then on.
   */
  get isUnfinished(): boolean {
    return this.#hadNotRun && !this.isRecovered && !this.state.hasRun;
  }

  /** Writes config.json. Saves of one container happen one after the other. 2013: Container.save */
  save(): Promise<void> {
    const save = async (): Promise<void> => {
      const written = writeFileAtomically(join(this.root, 'config.json'), this.#configText(), CONTAINER_FILE_MODE);
      const all = [written, ...this.#unsynced.map(syncPath)];
      await Promise.allSettled(all); // also where one fails: a file that is put in place later would be over that of the next save
      await Promise.all(all);
      if (this.#isUnsynced) rmSync(join(this.root, UNSYNCED), { force: true });
      this.#isUnsynced = false;
      step('save', 'container.go, Container.save', () => ({ id: this.id, state: this.state.toString() }));
    };
    const saved = this.#saving.then(save);
    this.#saving = saved.catch(() => undefined); // whoever asked for it is told
    return saved;
  }

  /** As `save`, for what nobody is there to be told: where the disk does not take it, it is tried again until it does. */
  async saveInTheEnd(): Promise<void> {
    try {
      await this.save();
    } catch (error) {
      this.runtime.log(`container ${this.id}: ${errorMessage(error)}; it is tried again`);
      this.#saveLater();
    }
  }

  /** Resolves once all saves that were asked for are done, however they ended. */
  get saved(): Promise<void> {
    return this.#saving;
  }

  /** As `inspect` prints it. */
  toJSON(): Record<string, GoValue> {
    const { id, root, created, path, args, config, filesystem, state } = this;
    return {
      Id: id,
      Root: root,
      Created: created,
      Path: path,
      Args: args,
      Config: configToJSON(config),
      Filesystem: filesystem.toJSON(),
      State: state.toJSON(),
      NetworkSettings: networkSettingsToJSON(this.network),
      // Of 2013 it was the daemon's own program, under which every other ran; here LXC's, for those with a terminal.
      SysInitPath: this.runtime.lxc.init ?? '',
    };
  }

  /** Makes the folder of a new container, all at once: it is there whole or not at all. The first `save` syncs it. */
  protected async makeFolder(userData: NewContainer['userData']): Promise<void> {
    const { root } = this;
    checkLayers(this.layers);
    const temporary = join(this.runtime.containersPath, temporaryName(this.id));
    const write = (name: string, text: string): void =>
      writeFileUnsynced(join(temporary, name), text, CONTAINER_FILE_MODE);
    try {
      mkdirSync(temporary, { mode: 0o700 });
      write(UNSYNCED, '');
      write('config.json', this.#configText());
      write('userdata.json', goMarshal(new Map(Object.entries(userData))));
      this.filesystem.layOut(temporary);
      renameSync(temporary, root);
    } catch (error) {
      // What cannot be removed now is removed at the next start.
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw new Error(`Cannot make ${root}: ${errorMessage(error)}`, { cause: error });
    }
    step('create', 'container.go, createContainer', () => ({ root, layers: this.filesystem.layerIds }));
  }

  #saveLater(): void {
    const retry = (): void => {
      if (existsSync(this.root)) this.save().catch(() => this.#saveLater()); // else it has been removed meanwhile
    };
    setTimeout(retry, SAVE_RETRY_MS).unref();
  }

  /** What `create` has made and is not on the disk, but for config.json and the names in its folder. */
  get #unsynced(): string[] {
    if (!this.#isUnsynced) return [];
    const files = ['userdata.json', FORM_FILE].map((name) => join(this.root, name)).filter((path) => existsSync(path));
    return [...files, dirname(this.root)];
  }

  #configText(): string {
    return withUnknownKeys(this.toJSON(), this.#unknown);
  }
}

/** The record of a container that is to be made. */
export function newRecord({ id, path, args, layers, config }: NewContainer): JsonObject {
  const Config = configToJSON({ ...config, hostname: id });
  return { Created: goTime(Date.now()), Path: path, Args: args, Config, Filesystem: { Layers: layers } };
}

function textOr(value: unknown, standard: string): string {
  return typeof value === 'string' ? value : standard;
}
