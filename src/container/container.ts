// One container, and what happens to it: it is made or found, started, signalled, stopped, waited for, and retired.
//
// `Docker` makes and keeps them. What one is, on disk and in memory, is in `container-record.ts`; a run of it in `run.ts`.
//
// 2013: container.go, Container

import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onceFilesAreLeft } from '../linux/open-files.js';
import type { SignalName } from '../linux/process.js';
import type { WindowSize } from '../linux/pty.js';
import { waitForProgram } from '../lxc/container-init.js';
import type { ProcessId } from '../lxc/lxc-start.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { NotSyncedError } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { ContainerRecord, newRecord, type NewContainer } from './container-record.js';
import { thawLeftover } from './freezing.js';
import type { Holder } from './holder.js';
import { allocateNetwork, giveBack } from './networking.js';
import { Pauses } from './pauses.js';
import { readContainer } from './recover.js';
import { Run } from './run.js';
import { concludeMeanwhile } from './run-end.js';
import type { Runtime } from './runtime.js';
import { forgetSignal } from './sent-signal.js';
import { hasFifos, type Stdio } from './stdio.js';

/** How long `stop` waits for the program before it kills it, in seconds. */
export const STOP_TIMEOUT_S = 10;
/** How long a container may take to get as far as its program, and LXC to be gone once killed. */
const LXC_TIMEOUT_MS = 10_000;
/** How long a killed program may take to be gone before LXC itself is ended. */
const KILL_TIMEOUT_MS = 2_000;
/** How often a container that cannot be signalled yet is tried again. */
const RETRY_MS = 5;

/** See the head of the file. */
export class Container extends ContainerRecord {
  /** the run that is under way, to its very end */
  #run: Run | undefined;
  /** what was taken for the first run when the container was made */
  #reserved: NetworkInterface | undefined;
  /** never rejects: whoever starts it is told; those who find none under way go on at once */
  #starting: Promise<void> | undefined;
  #killing: Promise<void> | undefined;
  /** undefined until somebody needs it, as most of many stopped containers are only listed */
  #madePauses: Pauses | undefined;
  #isRetired = false;

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
    const { id, userData } = container;
    const created = new Container(runtime, id, { json: newRecord(container), userData, isUnsynced: true });
    await created.makeFolder(userData);
    created.#reserved = network;
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
    const container = new Container(runtime, basename(root), { json, userData, isUnsynced });
    if (isNew) await container.save();
    return container;
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
    const started = this.#start(window).finally(() => (this.#starting = undefined));
    this.#starting = started.catch(() => undefined);
    await started;
  }

  /** Sends a signal to the program. False where it does not run. */
  signal(signal: SignalName): boolean {
    return this.#run?.signal(signal) ?? false;
  }

  /** Asks the program to end, and kills it where it has not after `seconds`. Resolves when it is stopped. 2013: Container.Stop */
  async stop(seconds = STOP_TIMEOUT_S): Promise<void> {
    if (this.#starting !== undefined) await this.#starting;
    if (!this.state.isRunning) return;
    // DIFFERS D07: a stop in a container's first 30 ms hung the original. The program must be there to be asked.
    await waitForProgram(this.state.pid, LXC_TIMEOUT_MS);
    await this.#madePauses?.frozen;
    const deadline = performance.now() + seconds * 1000;
    const frozenBefore = this.#pauses.frozenMs;
    await this.#signalInTime('SIGTERM', deadline);
    // Time in which it is frozen does not count.
    const leftMs = (): number => deadline + this.#pauses.frozenMs - frozenBefore - performance.now();
    for (let ms = leftMs(); ms > 0; ms = leftMs()) {
      if (await this.waitTimeout(ms)) return;
      await this.#madePauses?.frozen;
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
    if (this.#starting !== undefined) await this.#starting;
    await this.#killStarted();
  }

  /** Stops it and starts it again. 2013: Container.Restart */
  async restart(seconds = STOP_TIMEOUT_S): Promise<void> {
    await this.stop(seconds);
    await this.start();
  }

  /** Resolves with the status of the run once it has ended, also of one that is about to begin. 2013: Container.Wait */
  async wait(signal?: AbortSignal): Promise<number> {
    if (this.#starting !== undefined) await this.#starting;
    await this.state.wait(signal);
    return this.state.exitCode;
  }

  /** Waits for the end for at most `timeoutMs`. False where it still runs then. 2013: Container.WaitTimeout */
  waitTimeout(timeoutMs: number): Promise<boolean> {
    return this.state.waitTimeout(timeoutMs);
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
    await this.#starting;
    if (isForced) await this.kill();
    else await this.stop();
    const reserved = this.#reserved; // it was never started
    this.#reserved = undefined; // given back once: where the removal fails, it may be somebody else's by the next one
    if (reserved !== undefined) await giveBack(this.id, reserved, this.runtime);
    await this.settled();
    await this.#madePauses?.frozen; // of a stopped container, too, somebody may read the files
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
  whileFrozen<T>(body: () => Promise<T>): Promise<T> {
    return this.#pauses.whileFrozen(body);
  }

  /** Does what a running program would not bear; a start waits until it is done. Rejects where the container runs. */
  whileStopped<T>(action: string, body: () => Promise<T>): Promise<T> {
    return this.#pauses.whileStopped(action, body);
  }

  /** Resolves once the monitor has nothing more to do: everything of the run is freed and on disk. */
  async settled(): Promise<void> {
    await this.#run?.ended;
    await this.saved;
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
    this.#keepRun(await Run.adopt(this, this.runtime, process, holder));
  }

  /** A run ended while no daemon ran: puts on record what it printed last, how it ended and when. */
  async conclude(holder: Holder | undefined): Promise<void> {
    await concludeMeanwhile(this, this.runtime, holder);
  }

  /** What is recorded as running cannot be taken over nor concluded: puts it on record as ended, how is not known. */
  async giveUp(): Promise<void> {
    if (!this.state.isRunning) return;
    this.state.setStopped({ exitCode: -1, signal: undefined }, Date.now());
    this.logs.close();
    await this.save();
  }

  async #start(window: WindowSize | undefined): Promise<void> {
    await this.settled();
    await this.#madePauses?.handling;
    await this.#madePauses?.frozen;
    const network = this.#reserved ?? (await allocateNetwork(this.id, this.config, this.runtime));
    this.#reserved = undefined;
    await this.runtime.starts.take(async () => {
      const run = await Run.start(this, this.runtime, network, window);
      if (run !== undefined) this.#keepRun(run);
      // A run of no program is over, and its end may still wait for the disk; the first start makes a container, which must not.
      if (run !== undefined || this.isUnsynced) await this.#record();
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

  get #pauses(): Pauses {
    return (this.#madePauses ??= new Pauses({
      id: this.id,
      state: this.state,
      waitTimeout: (timeoutMs) => this.waitTimeout(timeoutMs),
      now: () => ({ isRetired: this.#isRetired, run: this.#run, starting: this.#starting, killing: this.#killing }),
    }));
  }

  async #killStarted(): Promise<void> {
    if (!this.state.isRunning) return;
    this.#killing ??= this.#kill().finally(() => (this.#killing = undefined));
    await this.#killing;
  }

  async #kill(): Promise<void> {
    await this.#madePauses?.frozen;
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
        this.runtime.log(`container ${this.id}: ${errorMessage(error)}`); // a power cut ends the run anyway
        return;
      }
      await onceFilesAreLeft(() => this.#killStarted()); // else it would run on, and the next daemon not know of it
      throw error;
    }
  }
}
