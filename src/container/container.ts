// One container: what it was asked to be, the folder that it lives in, and its life from start to end.
//
// A run is: mount, look the program up, make the streams, write config.lxc, spawn lxc-start, and a monitor that sees the
// exit, drains the streams, unmounts, records and saves. `Docker` makes and keeps containers; the commands of the server
// start, stop and attach to them.
//
// Owns, while it runs: the mount, the streams and the open logs. The monitor alone frees them and moves the state from
// running to stopped.
//
// 2013: container.go, Container

import { closeSync } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, join } from 'node:path';
import { Filesystem } from '../filesystem/filesystem.js';
import { hasCode } from '../linux/libc.js';
import { pidfdOpen, pidfdSendSignal, withPidfd, type SignalName } from '../linux/process.js';
import type { WindowSize } from '../linux/pty.js';
import { signalContainer, waitForProgram } from '../lxc/container-init.js';
import { lxcConfig } from '../lxc/lxc-config.js';
import { readLxcExit, type LxcExit } from '../lxc/lxc-log.js';
import { spawnLxcStart, type ProcessId } from '../lxc/lxc-start.js';
import { syncFolder, temporaryName, writeFileAtomically, writeNewFile } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goMarshal, type GoValue } from '../util/go-json.js';
import { goLogTime, goTime, goTimeMs } from '../util/go-time.js';
import { step } from '../util/steps.js';
import { configFromJSON, configToJSON, type Config } from './config.js';
import {
  CONTAINER_FILE_MODE,
  objectIn,
  readJsonObject,
  readJsonObjectIfThere,
  withUnknownKeys,
  type JsonObject,
} from './container-file.js';
import type { Holder } from './holder.js';
import { LogStore, STDERR, STDOUT, type LogPosition } from './log-store.js';
import { canExecute, SEARCH_PATH } from './program.js';
import type { Runtime } from './runtime.js';
import { State } from './state.js';
import { Stdio, type StdioSettings } from './stdio.js';

/** How long `stop` waits for the program before it kills it, in seconds. */
export const STOP_TIMEOUT_S = 10;
/** How long a container may take to get as far as its program, and to be gone once killed. */
const LXC_TIMEOUT_MS = 10_000;
/** How often a container that cannot be signalled yet is tried again. */
const KILL_RETRY_MS = 5;
/** The program was not found or cannot be executed. */
const STATUS_NOT_FOUND = 127;

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
  readonly root: string;
  readonly created: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly config: Config;
  readonly filesystem: Filesystem;
  readonly state: State;
  readonly logs: LogStore;
  readonly userData: ReadonlyMap<string, string>;

  readonly #runtime: Runtime;
  /** config.json as it was read, for the keys that are not known here */
  readonly #read: JsonObject;
  #stdio: Stdio | undefined;
  #monitoring: Promise<void> = Promise.resolve();
  #saving: Promise<void> = Promise.resolve();
  #isStarting = false;
  #runBegan: LogPosition = { stdout: 0, stderr: 0, order: 0 };
  #lastSignal: SignalName | undefined;

  private constructor(runtime: Runtime, root: string, json: JsonObject, userData: JsonObject) {
    const text = (value: unknown, standard: string): string => (typeof value === 'string' ? value : standard);
    const texts = (value: unknown): string[] =>
      Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
    this.#runtime = runtime;
    this.#read = json;
    this.id = basename(root);
    this.root = root;
    this.created = text(json['Created'], goTime(0));
    this.path = text(json['Path'], '');
    this.args = texts(json['Args']);
    this.config = configFromJSON(objectIn(json, 'Config'), this.id);
    // Layers and folders are where the data directory lies now, wherever it was when the file was written.
    const layers = texts(objectIn(json, 'Filesystem')['Layers']).map((path) =>
      join(runtime.layersPath, basename(path)),
    );
    this.filesystem = new Filesystem(join(root, 'rootfs'), join(root, 'rw'), layers, runtime.driver);
    this.state = State.fromJSON(objectIn(json, 'State'));
    this.logs = new LogStore(root, this.id);
    this.userData = new Map(Object.entries(userData).map(([key, value]) => [key, text(value, '')]));
  }

  /**
   * Makes the folder of a new container, all at once: it is there whole or not at all. 2013: createContainer
   * (and CreateContainer, which set the user data afterwards)
   */
  static async create(runtime: Runtime, container: NewContainer): Promise<Container> {
    const { id, path, args, layers, config, userData } = container;
    const root = join(runtime.containersPath, id);
    const Filesystem = { Layers: layers };
    const Config = configToJSON({ ...config, hostname: id });
    const json = { Created: goTime(Date.now()), Path: path, Args: args, Config, Filesystem };
    const created = new Container(runtime, root, json, userData);
    const temporary = join(runtime.containersPath, temporaryName(id));
    try {
      await mkdir(temporary, { mode: 0o700 });
      await writeNewFile(join(temporary, 'config.json'), created.#configText(), CONTAINER_FILE_MODE);
      await writeNewFile(join(temporary, 'userdata.json'), goMarshal(created.userData), CONTAINER_FILE_MODE);
      await rename(temporary, root);
    } catch (error) {
      await rm(temporary, { recursive: true, force: true });
      throw error;
    }
    await syncFolder(runtime.containersPath);
    step('create', 'container.go, createContainer', () => ({ root, layers: created.filesystem.layerIds }));
    return created;
  }

  /** Reads the container in `root`. Rejects with the name of the file that cannot be read. 2013: loadContainer */
  static async load(runtime: Runtime, root: string): Promise<Container> {
    const json = await readJsonObject(join(root, 'config.json'));
    return new Container(runtime, root, json, await readJsonObjectIfThere(join(root, 'userdata.json')));
  }

  /** When it was made, in milliseconds since 1970. */
  get createdAtMs(): number {
    return goTimeMs(this.created);
  }

  /** The program and its arguments, in one line. */
  get commandLine(): string {
    // QUIRK Q01: without arguments it ends in a space, which `ps` shows.
    return `${this.path} ${this.args.join(' ')}`;
  }

  /** Where the output of the run that is under way, or of the last one, begins in the logs. */
  get runBegan(): LogPosition {
    return this.#runBegan;
  }

  /** The streams of the run that is under way. */
  get stdio(): Stdio | undefined {
    return this.#stdio;
  }

  /**
   * Starts the program. Resolves once lxc-start is a process, or once it is on record that there is no such program.
   * Rejects, with everything undone, where the run could not begin. 2013: Container.Start
   */
  async start(window?: WindowSize): Promise<void> {
    // DIFFERS D06: to start a running container crashed the original.
    if (this.state.isRunning || this.#isStarting) throw new Error(`Container ${this.id} is already running`);
    this.#isStarting = true;
    try {
      await this.#monitoring;
      await this.#start(window);
    } finally {
      this.#isStarting = false;
    }
  }

  /** Sends a signal to the program. False where it does not run. */
  signal(signal: SignalName): boolean {
    if (!this.state.isRunning || !signalContainer(this.state.pid, signal)) return false;
    this.#lastSignal = signal;
    step('signal', 'container.go, Container.Stop', () => ({ id: this.id, signal }));
    return true;
  }

  /** Asks the program to end, and kills it where it has not after `seconds`. Resolves when it is stopped. 2013: Container.Stop */
  async stop(seconds = STOP_TIMEOUT_S): Promise<void> {
    if (!this.state.isRunning) return;
    // DIFFERS D07: a stop in a container's first 30 ms hung the original. The program must be there to be asked.
    await waitForProgram(this.state.pid, LXC_TIMEOUT_MS);
    this.signal('SIGTERM');
    if (!(await this.waitTimeout(seconds * 1000))) await this.kill();
  }

  /** Ends the program at once. Resolves when it is stopped. 2013: Container.Kill */
  async kill(): Promise<void> {
    const deadline = performance.now() + LXC_TIMEOUT_MS;
    while (this.state.isRunning) {
      const isSent = this.signal('SIGKILL');
      if (await this.waitTimeout(isSent ? LXC_TIMEOUT_MS : KILL_RETRY_MS)) return;
      if (performance.now() < deadline) continue;
      // Its first process never came, or does not go: then the monitor process itself.
      withPidfd(this.state.pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGKILL'));
      if (!(await this.waitTimeout(LXC_TIMEOUT_MS)))
        throw new Error(`Cannot kill container ${this.id}: it does not end`);
    }
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
    const timer = setTimeout(() => expiry.abort(), timeoutMs);
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
    this.#stdio?.resize(window);
    // lxc-start copies the size to the terminal inside when it gets this signal.
    if (this.config.hasTty && this.state.pid > 0) {
      withPidfd(this.state.pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGWINCH'));
    }
  }

  /** Writes config.json. Saves of one container happen one after the other. 2013: Container.save */
  save(): Promise<void> {
    const save = async (): Promise<void> => {
      await writeFileAtomically(join(this.root, 'config.json'), this.#configText(), CONTAINER_FILE_MODE);
      step('save', 'container.go, Container.save', () => ({ id: this.id, state: this.state.toString() }));
    };
    const saved = this.#saving.then(save);
    this.#saving = saved.catch(() => undefined); // whoever asked for it is told
    return saved;
  }

  /** Resolves once the monitor has nothing more to do: everything of the run is freed and on disk. */
  async settled(): Promise<void> {
    await this.#monitoring;
    await this.#saving;
  }

  /** An earlier daemon's lxc-start still runs: takes over its streams and sees its end. */
  async adopt(process: ProcessId, holder: Holder | undefined): Promise<void> {
    this.state.adopt(process);
    const stdio = await this.#adoptStreams(holder);
    this.#monitoring = this.#monitor(process, stdio);
    step('adopt', 'docker.go, Docker.restore', () => ({ id: this.id, pid: process.pid }));
  }

  /** A run ended while no daemon ran: what it printed is still in its streams, and how it ended in LXC's log. */
  async conclude(holder: Holder | undefined): Promise<void> {
    const stdio = await this.#adoptStreams(holder);
    await this.#conclude(stdio, await this.#lxcLogTime());
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
    };
  }

  #configText(): string {
    return withUnknownKeys(this.toJSON(), this.#read);
  }

  get #lxcLog(): string {
    return join(this.root, 'lxc.log');
  }

  /** The steps of a start, each with how to undo it. */
  async #start(window: WindowSize | undefined): Promise<void> {
    const undo: (() => Promise<void> | void)[] = [];
    try {
      // 1. The tree that the program will see.
      await this.filesystem.ensureMounted();
      undo.push(() => this.filesystem.umount());
      // 2. The logs, before anything can be printed.
      this.logs.open();
      undo.push(() => this.logs.close());
      this.#runBegan = this.logs.end;
      this.#lastSignal = undefined;
      if (!canExecute(this.filesystem.rootfs, this.path)) return await this.#notFound();
      // 3. The streams.
      if (this.config.hasTty && this.#runtime.lxc.init === undefined) {
        throw new Error('Cannot start with a terminal: init.lxc.static, a part of LXC, is not installed');
      }
      const stdio = await Stdio.create(this.#streamSettings);
      undo.push(() => stdio.end());
      if (window !== undefined) stdio.resize(window);
      // 4. What LXC is to do, and LXC.
      const process = await this.#spawn(stdio);
      // Nothing is undone from here on: the monitor does it at the end of the run.
      undo.length = 0;
      this.state.setRunning(process);
      this.#stdio = stdio;
      this.#monitoring = this.#monitor(process, stdio);
      await Promise.all([this.save(), stdio.hold()]);
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  async #spawn(stdio: Stdio): Promise<ProcessId> {
    const configPath = join(this.root, 'config.lxc');
    const { hostname, ramBytes: memoryLimitBytes, hasTty, term } = this.config;
    const environment = ['HOME=/', `PATH=${SEARCH_PATH.join(':')}`, ...(hasTty ? [`TERM=${term}`] : [])];
    const { rootfs } = this.filesystem;
    const { terminalPath } = stdio;
    const settings = { hostname, rootfs, environment, memoryLimitBytes, terminalPath };
    await writeFile(configPath, await lxcConfig(settings, this.#runtime.lxc), { mode: 0o644 });
    step('config', 'container.go, Container.generateLXCConfig', () => ({ configPath }));
    await rm(this.#lxcLog, { force: true }); // its end of an earlier run would be taken for this one's
    const process = await spawnLxcStart({
      id: this.id,
      lxcPath: this.#runtime.containersPath,
      configPath,
      logPath: this.#lxcLog,
      underInit: hasTty,
      command: [this.path, ...this.args],
      stdio: stdio.forLxc,
    });
    stdio.closeForLxc();
    return process;
  }

  /** A run of a program that is not there: it begins and ends at once, and says why where its errors go. */
  async #notFound(): Promise<void> {
    this.state.setRunning(undefined);
    const line = `${goLogTime(new Date())} Unable to locate ${this.path}`;
    if (this.config.hasTty) this.logs.append(STDOUT, `${line}\r\n`);
    else this.logs.append(STDERR, `${line}\n`);
    await this.#finish({ exitCode: STATUS_NOT_FOUND, signal: undefined, failure: undefined }, Date.now());
  }

  /** Waits for the end of lxc-start and frees what the run had. Never rejects: there is nobody to tell but the log. */
  async #monitor(process: ProcessId, stdio: Stdio): Promise<void> {
    try {
      await this.#exitOf(process);
      await this.#conclude(stdio, Date.now());
    } catch (error) {
      this.#runtime.log(`container ${this.id}: ${errorMessage(error)}`);
      if (this.state.isRunning) this.state.setStopped({ exitCode: -1, signal: undefined }, Date.now());
    }
  }

  /** The end of a run, in the order of 2013's Container.monitor: status, streams, unmount, state, save. */
  async #conclude(stdio: Stdio, finishedAtMs: number): Promise<void> {
    const exit = this.#judge(await readLxcExit(this.#lxcLog));
    step('exit', 'container.go, Container.monitor', () => ({ id: this.id, ...exit }));
    if (exit.failure !== undefined) this.#runtime.log(`container ${this.id}: ${exit.failure}`);
    await stdio.end();
    this.#stdio = undefined;
    await this.#finish(exit, finishedAtMs);
  }

  async #finish(exit: LxcExit, finishedAtMs: number): Promise<void> {
    try {
      await this.filesystem.umount();
    } catch (error) {
      this.#runtime.log(`container ${this.id}: ${errorMessage(error)}`); // the run is over all the same
    }
    // The state first: who reads the logs to their end then finds the status.
    this.state.setStopped(exit, finishedAtMs);
    this.logs.close();
    await this.save();
  }

  /** LXC's own init reports a signal as 128 + n, and a start that was killed is a failure to LXC: what we sent, counts. */
  #judge(exit: LxcExit): LxcExit {
    const sent = this.#lastSignal === undefined ? undefined : constants.signals[this.#lastSignal];
    const isKilled = this.#lastSignal === 'SIGKILL' && exit.failure !== undefined;
    if (sent === undefined || !(isKilled || exit.exitCode === 128 + sent)) return exit;
    return { exitCode: -1, signal: sent, failure: undefined };
  }

  async #exitOf({ pid }: ProcessId): Promise<void> {
    let pidfd: number;
    try {
      pidfd = pidfdOpen(pid);
    } catch (error) {
      if (hasCode(error, 'ESRCH')) return;
      throw error;
    }
    const { poller } = this.#runtime;
    await new Promise<void>((resolve) => poller.add(pidfd, () => resolve()));
    poller.remove(pidfd);
    closeSync(pidfd);
  }

  async #adoptStreams(holder: Holder | undefined): Promise<Stdio> {
    this.logs.open();
    this.#runBegan = this.logs.end;
    const stdio = await Stdio.adopt(this.#streamSettings, holder);
    this.#stdio = stdio;
    return stdio;
  }

  get #streamSettings(): StdioSettings {
    const { root, logs: store, config } = this;
    const { poller, log } = this.#runtime;
    const onProblem = (error: unknown): void =>
      log(`container ${this.id}: cannot keep its output: ${errorMessage(error)}`);
    return { root, store, poller, onProblem, hasTty: config.hasTty, isStdinOpen: config.isStdinOpen };
  }

  /** When lxc-start wrote its last line. */
  async #lxcLogTime(): Promise<number> {
    try {
      return (await stat(this.#lxcLog)).mtimeMs;
    } catch (error) {
      if (hasCode(error, 'ENOENT')) return Date.now();
      throw error;
    }
  }
}
