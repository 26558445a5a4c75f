// One container: what it was asked to be, the folder that it lives in, and its life from start to end.
//
// `Docker` makes and keeps containers; the commands of the server start, stop and attach to them. What happens between
// start and end is in `run.ts`.
//
// 2013: container.go, Container

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Filesystem } from '../filesystem/filesystem.js';
import { checkLayers, layerPaths } from '../filesystem/layer-paths.js';
import { FORM_FILE } from '../filesystem/rw.js';
import { onceFilesAreLeft } from '../linux/open-files.js';
import type { SignalName } from '../linux/process.js';
import type { WindowSize } from '../linux/pty.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { waitForProgram } from '../lxc/container-init.js';
import type { ProcessId } from '../lxc/lxc-start.js';
import {
  NotSyncedError,
  syncPath,
  temporaryName,
  writeFileAtomically,
  writeFileUnsynced,
} from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goMarshal, type GoValue } from '../util/go-json.js';
import { goTime, goTimeMs, ZERO_TIME } from '../util/go-time.js';
import { step } from '../util/steps.js';
import { configFromJSON, configToJSON, type Config } from './config.js';
import { CONTAINER_FILE_MODE, objectIn, unknownPart, withUnknownKeys, type JsonObject } from './container-file.js';
import { UNSYNCED } from './container-folder.js';
import { thawLeftover } from './freezing.js';
import type { Holder } from './holder.js';
import { LogStore } from './log-store.js';
import { networkSettingsToJSON } from './network-settings.js';
import { allocateNetwork, giveBack } from './networking.js';
import { readContainer, RECOVERED } from './recover.js';
import { Run } from './run.js';
import type { Runtime } from './runtime.js';
import { forgetSignal } from './sent-signal.js';
import { State } from './state.js';
import { hasFifos, type Stdio } from './stdio.js';

/** How long `stop` waits for the program before it kills it, in seconds. */
export const STOP_TIMEOUT_S = 10;
/** How long a container may take to get as far as its program, and LXC to be gone once killed. */
const LXC_TIMEOUT_MS = 10_000;
/** How long a killed program may take to be gone before LXC itself is ended. */
const KILL_TIMEOUT_MS = 2_000;
/** The longest time that a timer takes, in milliseconds: more would be none at all. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** How often what the disk did not take is tried again, in milliseconds. */
const SAVE_RETRY_MS = 500;
/** How often a container that cannot be signalled yet is tried again. */
const RETRY_MS = 5;
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

/** See the head of the file. */
export class Container {
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

  readonly #runtime: Runtime;
  /** what config.json had when it was read that is not known here */
  readonly #unknown: JsonObject;
  readonly #userData: JsonObject;
  /** whether config.json said, in our keys, that it had never run */
  readonly #hadNotRun: boolean;
  /** made for the first who asks, as is the next: most of many stopped containers are only listed */
  #filesystem: Filesystem | undefined;
  #logs: LogStore | undefined;
  /** the run that is under way, to its very end */
  #run: Run | undefined;
  /** what was taken for the first run when the container was made */
  #reserved: NetworkInterface | undefined;
  #saving = DONE;
  #starting: Promise<void> | undefined;
  #killing: Promise<void> | undefined;
  /** `whileFrozen` under way */
  #frozen: Promise<void> | undefined;
  /** how long it has been frozen, all in all */
  #frozenMs = 0;
  /** what is done to the stopped container: a start waits for it */
  #handling: Promise<unknown> = DONE;
  #isRetired = false;
  /** what `create` has written may not be on the disk yet */
  #isUnsynced = false;

  private constructor(runtime: Runtime, id: string, json: JsonObject, userData: JsonObject) {
    const texts = (value: unknown): string[] =>
      Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
    this.#runtime = runtime;
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

  /**
   * Makes the folder of a new container, all at once: it is there whole or not at all. The disk is waited for by the first
   * `save` only, before anybody is told of the container. `network`, for its first run, is its own from then on.
   * 2013: createContainer (and CreateContainer, which set the user data afterwards)
   */
  static async create(
    runtime: Runtime,
    container: NewContainer,
    network: NetworkInterface | undefined,
  ): Promise<Container> {
    const { id, path, args, layers, config, userData } = container;
    checkLayers(layers);
    const root = join(runtime.containersPath, id);
    const Filesystem = { Layers: layers };
    const Config = configToJSON({ ...config, hostname: id });
    const json = { Created: goTime(Date.now()), Path: path, Args: args, Config, Filesystem };
    const created = new Container(runtime, id, json, userData);
    const temporary = join(runtime.containersPath, temporaryName(id));
    try {
      mkdirSync(temporary, { mode: 0o700 });
      writeFileUnsynced(join(temporary, UNSYNCED), '', 0o600);
      writeFileUnsynced(join(temporary, 'config.json'), created.#configText(), CONTAINER_FILE_MODE);
      writeFileUnsynced(
        join(temporary, 'userdata.json'),
        goMarshal(new Map(Object.entries(userData))),
        CONTAINER_FILE_MODE,
      );
      created.filesystem.layOut(temporary);
      renameSync(temporary, root);
    } catch (error) {
      // What cannot be removed now is removed at the next start.
      await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
      throw new Error(`Cannot make ${root}: ${errorMessage(error)}`, { cause: error });
    }
    created.#isUnsynced = true;
    created.#reserved = network;
    step('create', 'container.go, createContainer', () => ({ root, layers: created.filesystem.layerIds }));
    return created;
  }

  /**
   * Reads the container in `root`, whose lxc-start has that pid where it runs, and which is new to the disk where `create` was
   * not finished. Where its record is damaged it is made anew from what is known. 2013: loadContainer
   */
  static async load(
    runtime: Runtime,
    root: string,
    { lxcStartPid, isUnsynced }: { lxcStartPid: number | undefined; isUnsynced: boolean },
  ): Promise<Container> {
    const { json, userData, isNew } = await readContainer(runtime, root, lxcStartPid);
    const container = new Container(runtime, basename(root), json, userData);
    container.#isUnsynced = isUnsynced;
    if (isNew) await container.save();
    return container;
  }

  /** Its folder. */
  get root(): string {
    return join(this.#runtime.containersPath, this.id);
  }

  get filesystem(): Filesystem {
    const { driver, log } = this.#runtime;
    return (this.#filesystem ??= new Filesystem(
      join(this.root, 'rootfs'),
      join(this.root, 'rw'),
      this.layers,
      driver,
      log,
    ));
  }

  get logs(): LogStore {
    return (this.#logs ??= new LogStore(this.root, this.id, this.#runtime.logMaxBytes));
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

  /** The streams of the run that is under way. */
  get stdio(): Stdio | undefined {
    return this.state.isRunning ? this.#run?.stdio : undefined;
  }

  /**
   * Starts the program. Resolves once lxc-start is a process, or once it is on record that there is no such program.
   * Rejects, with everything undone, where the run could not begin. 2013: Container.Start
   */
  async start(window?: WindowSize): Promise<void> {
    // DIFFERS D06: to start a running container crashed the original.
    if (this.state.isRunning || this.#starting !== undefined)
      throw new Error(`Container ${this.id} is already running`);
    if (this.#isRetired) throw new Error(`No such container: ${this.id}`);
    if (this.isRecovered)
      throw new Error(`Cannot start container ${this.id}: its record was damaged; commit it, and run the image`);
    this.#starting = this.#start(window);
    try {
      await this.#starting;
    } finally {
      this.#starting = undefined;
    }
  }

  /** Sends a signal to the program. False where it does not run. */
  signal(signal: SignalName): boolean {
    return this.#run?.signal(signal) ?? false;
  }

  /** Asks the program to end, and kills it where it has not after `seconds`. Resolves when it is stopped. 2013: Container.Stop */
  async stop(seconds = STOP_TIMEOUT_S): Promise<void> {
    if (!this.state.isRunning) return;
    // DIFFERS D07: a stop in a container's first 30 ms hung the original. The program must be there to be asked.
    await waitForProgram(this.state.pid, LXC_TIMEOUT_MS);
    await this.#frozen;
    const deadline = performance.now() + seconds * 1000;
    const frozenBefore = this.#frozenMs;
    await this.#signalInTime('SIGTERM', deadline);
    // Time in which it is frozen does not count.
    const leftMs = (): number => deadline + this.#frozenMs - frozenBefore - performance.now();
    for (let ms = leftMs(); ms > 0; ms = leftMs()) {
      if (await this.waitTimeout(ms)) return;
      await this.#frozen;
    }
    await this.kill();
  }

  /** As `signal`, but waits for the program of a run that has only just begun. */
  async signalWhenReady(signal: SignalName): Promise<void> {
    await waitForProgram(this.state.pid, LXC_TIMEOUT_MS);
    await this.#signalInTime(signal, performance.now() + LXC_TIMEOUT_MS);
  }

  /** Ends the program at once. Resolves when it is stopped. 2013: Container.Kill */
  async kill(): Promise<void> {
    if (!this.state.isRunning) return;
    this.#killing ??= this.#kill().finally(() => (this.#killing = undefined));
    await this.#killing;
  }

  /** Stops it and starts it again. 2013: Container.Restart */
  async restart(seconds = STOP_TIMEOUT_S): Promise<void> {
    await this.stop(seconds);
    await this.start();
  }

  /** Resolves with the status of the run once it has ended. 2013: Container.Wait */
  async wait(signal?: AbortSignal): Promise<number> {
    await this.state.wait(signal);
    return this.state.exitCode;
  }

  /** Waits for the end for at most `timeoutMs`. False where it still runs then. 2013: Container.WaitTimeout */
  async waitTimeout(timeoutMs: number): Promise<boolean> {
    const expiry = new AbortController();
    const timer = setTimeout(() => expiry.abort(), Math.min(timeoutMs, LONGEST_TIMER_MS));
    try {
      await this.state.wait(expiry.signal);
      return true;
    } catch (error) {
      if (expiry.signal.aborted) return false;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Tells its terminal the size. Without a terminal there is nobody to tell. */
  resize(window: WindowSize): void {
    if (this.state.isRunning) this.#run?.resize(window);
  }

  /**
   * Ends it for good: stops it, or kills it with `isForced`, and lets it start no more. Resolves when everything of its
   * runs is freed and on disk.
   */
  async retire(isForced: boolean): Promise<void> {
    this.#isRetired = true;
    await this.#starting?.catch(() => undefined); // whoever starts it is told
    if (isForced) await this.kill();
    else await this.stop();
    if (this.#reserved !== undefined) await giveBack(this.id, this.#reserved, this.#runtime); // it was never started
    await this.settled();
    await this.#frozen; // of a stopped container, too, somebody may read the files
  }

  /** The removal that it was retired for has failed: it can be used again. */
  reinstate(): void {
    this.filesystem.reinstate();
    this.#isRetired = false;
  }

  /**
   * Does `body` while no program of the container does anything: a running one is frozen, a stopped one is not started.
   * Thaws it whatever happens. `body` must not stop, start, freeze or remove it: these wait for its end.
   */
  async whileFrozen<T>(body: () => Promise<T>): Promise<T> {
    // DIFFERS D33: the original packed what a running program was still writing.
    // What changes whether it runs comes first; a kill could not end a frozen process.
    for (let busy = this.#busy; busy !== undefined; busy = this.#busy) await busy.catch(() => undefined);
    if (this.#isRetired) throw new Error(`No such container: ${this.id}`);
    const frozen = this.#freezeDuring(body).finally(() => (this.#frozen = undefined));
    this.#frozen = frozen.then(
      () => undefined,
      () => undefined, // the caller is told
    );
    return frozen;
  }

  /** Does what a running program would not bear; a start waits until it is done. Rejects where the container runs. */
  whileStopped<T>(action: string, body: () => Promise<T>): Promise<T> {
    const done = this.#handling.then(() => {
      if (this.state.isRunning || this.#starting !== undefined)
        throw new Error(`Cannot ${action} "${this.id}": the container is running`);
      return body();
    });
    this.#handling = done.catch(() => undefined); // whoever asked for it is told
    return done;
  }

  /** Writes config.json. Saves of one container happen one after the other. 2013: Container.save */
  save(): Promise<void> {
    const save = async (): Promise<void> => {
      const written = writeFileAtomically(join(this.root, 'config.json'), this.#configText(), CONTAINER_FILE_MODE);
      await Promise.all([written, ...this.#unsynced.map(syncPath)]);
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
      this.#runtime.log(`container ${this.id}: ${errorMessage(error)}; it is tried again`);
      this.#saveLater();
    }
  }

  /** Resolves once the monitor has nothing more to do: everything of the run is freed and on disk. */
  async settled(): Promise<void> {
    await this.#run?.ended;
    await this.#saving;
  }

  /** Takes away what a killed daemon left half-made in its folder. To be called before anything else. */
  async recover(): Promise<void> {
    await this.filesystem.recover();
    if (this.state.isRunning || hasFifos(this.root)) return; // it belongs to a run that is not concluded yet
    forgetSignal(this.root);
    thawLeftover({ id: this.id, root: this.root, pid: undefined });
  }

  /** An earlier daemon's lxc-start still runs: takes over its streams and sees its end. */
  async adopt(process: ProcessId, holder: Holder | undefined): Promise<void> {
    this.#keepRun(await Run.adopt(this, this.#runtime, process, holder));
  }

  /** A run ended while no daemon ran: puts on record what it printed last, how it ended and when. */
  async conclude(holder: Holder | undefined): Promise<void> {
    await Run.conclude(this, this.#runtime, holder);
  }

  /** What is recorded as running cannot be taken over nor concluded: puts it on record as ended, how is not known. */
  async giveUp(): Promise<void> {
    if (!this.state.isRunning) return;
    this.state.setStopped({ exitCode: -1, signal: undefined }, Date.now());
    this.logs.close();
    await this.save();
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
      SysInitPath: this.#runtime.lxc.init ?? '',
    };
  }

  async #start(window: WindowSize | undefined): Promise<void> {
    await this.settled();
    await this.#handling;
    await this.#frozen;
    const network = this.#reserved ?? (await allocateNetwork(this.id, this.config, this.#runtime));
    this.#reserved = undefined;
    await this.#runtime.starts.take(async () => {
      const run = await Run.start(this, this.#runtime, network, window);
      if (run === undefined) return;
      this.#keepRun(run);
      await this.#record();
    });
  }

  /** Until its end: a stopped container may stay for long, and keeps nothing of its runs in memory. */
  #keepRun(run: Run): void {
    this.#run = run;
    const letGo = (): void => {
      if (this.#run === run) this.#run = undefined;
    };
    run.ended.then(letGo, letGo);
  }

  #saveLater(): void {
    const retry = (): void => {
      if (existsSync(this.root)) this.save().catch(() => this.#saveLater()); // else it has been removed meanwhile
    };
    setTimeout(retry, SAVE_RETRY_MS).unref();
  }

  get #busy(): Promise<void> | undefined {
    return this.#frozen ?? this.#killing ?? this.#starting;
  }

  async #freezeDuring<T>(body: () => Promise<T>): Promise<T> {
    let thaw: (() => void) | undefined;
    let began = performance.now();
    try {
      if (this.state.isRunning) {
        await waitForProgram(this.state.pid, LXC_TIMEOUT_MS); // LXC is not frozen in the middle of its own work
        began = performance.now();
        thaw = await this.#run?.freeze();
        if (thaw === undefined) await this.waitTimeout(LXC_TIMEOUT_MS); // it is ending
      }
      return await body();
    } finally {
      thaw?.();
      this.#frozenMs += performance.now() - began;
    }
  }

  async #kill(): Promise<void> {
    await this.#frozen;
    if (!this.state.isRunning) return;
    // In the middle of its own work LXC would not clean up behind a first process that is killed, or not even notice.
    await waitForProgram(this.state.pid, KILL_TIMEOUT_MS);
    await this.#signalInTime('SIGKILL', performance.now() + KILL_TIMEOUT_MS);
    // A person may have frozen it: it would not die. It is killed by now, so a failure would tell of less than was done.
    await onceFilesAreLeft(() => this.#run?.thaw());
    if (await this.waitTimeout(KILL_TIMEOUT_MS)) return;
    this.#run?.abandon();
    if (!(await this.waitTimeout(LXC_TIMEOUT_MS))) throw new Error(`Cannot kill container ${this.id}: it does not end`);
  }

  /** Under LXC's own init the program comes a moment after init: tries until it is there, or `deadline` has come. */
  async #signalInTime(signal: SignalName, deadline: number): Promise<void> {
    while (this.state.isRunning && !this.signal(signal) && performance.now() < deadline) await sleep(RETRY_MS);
  }

  /** A run has begun: puts it on record. What cannot be put there is ended. */
  async #record(): Promise<void> {
    try {
      await this.save();
    } catch (error) {
      if (error instanceof NotSyncedError) {
        this.#runtime.log(`container ${this.id}: ${errorMessage(error)}`); // a power cut ends the run anyway
        return;
      }
      await onceFilesAreLeft(() => this.kill()); // else it would run on, and the next daemon not know of it
      throw error;
    }
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

function textOr(value: unknown, standard: string): string {
  return typeof value === 'string' ? value : standard;
}
