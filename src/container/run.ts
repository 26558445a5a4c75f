// One run of a container: mount, look the program up, make the streams, write config.lxc, spawn lxc-start; and a monitor
// that sees the exit, drains the streams, unmounts, records and saves.
//
// Owns the mount, the streams and the open logs. The monitor alone frees them and moves the state from running to
// stopped, also for a run that an earlier daemon began.
//
// 2013: container.go, Container.Start, start, startPty and monitor

import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Filesystem } from '../filesystem/filesystem.js';
import { checkFilesForStart, onceFilesAreLeft } from '../linux/open-files.js';
import { createWithRoom, giveRoomBack } from '../linux/preallocate.js';
import { processExit } from '../linux/process-exit.js';
import { pidfdSendSignal, processStartTicks, startedAtMs, withPidfd, type SignalName } from '../linux/process.js';
import type { WindowSize } from '../linux/pty.js';
import { allowHairpin } from '../network/hairpin.js';
import { removeCgroups } from '../lxc/cgroups.js';
import { endWithProgram, signalContainer, waitForProgram } from '../lxc/container-init.js';
import { lxcConfig } from '../lxc/lxc-config.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { asSignalled, lxcLogTime, readLxcExit, readProgramStart, type LxcExit } from '../lxc/lxc-log.js';
import { spawnLxcStart, type ProcessId } from '../lxc/lxc-start.js';
import { writeFileUnsynced } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { goLogTime } from '../util/go-time.js';
import { step } from '../util/steps.js';
import type { Config } from './config.js';
import { freezeRun, thawLeftover, thawRun, type FreezeSubject } from './freezing.js';
import type { Holder } from './holder.js';
import { STDERR, STDOUT } from './log-records.js';
import type { LogStore } from './log-store.js';
import { lookUpProgram, SEARCH_PATH } from './program.js';
import {
  adoptNetwork,
  giveBack,
  hostInterfaceOf,
  keepNetwork,
  prepareNetwork,
  removeLeftInterface,
} from './networking.js';
import type { Runtime } from './runtime.js';
import { forgetSignal, keepSignal, keptSignal } from './sent-signal.js';
import type { State } from './state.js';
import { removeFifos, Stdio, type StdioSettings } from './stdio.js';
import type { User } from './user.js';

/** What LXC's log takes at most: on a disk that is full by then it must still say how the program ended. */
const LXC_LOG_ROOM_BYTES = 64 * 1024;
const LXC_LOG_MODE = 0o640;
/** How long LXC may take until the program runs. */
const START_TIMEOUT_MS = 10_000;

/** What a run needs of its container. */
export interface RunSubject {
  readonly id: string;
  readonly root: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly config: Config;
  readonly filesystem: Filesystem;
  readonly state: State;
  readonly logs: LogStore;
  /** what the run that is under way has of the bridge */
  network: NetworkInterface | undefined;
  save(): Promise<void>;
  saveInTheEnd(): Promise<void>;
}

/** See the head of the file. */
export class Run {
  readonly stdio: Stdio;
  /** Resolves when everything of the run is freed and on disk. Never rejects: the daemon's log is told. */
  readonly ended: Promise<void>;
  readonly #subject: RunSubject;
  readonly #runtime: Runtime;
  readonly #process: ProcessId;
  #lastSignal: SignalName | undefined;

  private constructor(
    subject: RunSubject,
    runtime: Runtime,
    process: ProcessId,
    stdio: Stdio,
    lastSignal?: SignalName,
  ) {
    this.#subject = subject;
    this.#runtime = runtime;
    this.#process = process;
    this.stdio = stdio;
    this.#lastSignal = lastSignal;
    this.ended = this.#monitor();
  }

  /**
   * Begins a run with what it was given of the bridge, which belongs to the run from here on. Resolves once lxc-start is a
   * process; with undefined where there is no such program, which then is on record as a run that has ended. Rejects,
   * with everything undone, where the run could not begin.
   */
  static async start(
    subject: RunSubject,
    runtime: Runtime,
    network: NetworkInterface | undefined,
    window: WindowSize | undefined,
  ): Promise<Run | undefined> {
    const { filesystem, logs, state, config } = subject;
    subject.network = network;
    const undo: (() => Promise<void> | void)[] = [() => releaseNetwork(subject, runtime)];
    try {
      checkFilesForStart();
      // 1. The tree that the program will see.
      // Before: where the tree is mounted and cannot be looked at, the run has failed, and nobody else umounts it.
      undo.push(() => onceFilesAreLeft(() => umountIfMounted(filesystem)));
      await filesystem.beginRun();
      // 2. The logs, before anything can be printed.
      logs.open();
      undo.push(() => logs.close());
      const found = await lookUpProgram(filesystem, config.user, subject.path);
      if (!('user' in found)) {
        await endAtOnce(subject, runtime, found.complaint, found.exitCode);
        return undefined;
      }
      // 3. The streams. The end of an earlier run goes before they come: where a daemon was killed, streams and no log say
      // that a run has not begun.
      if (config.hasTty && runtime.lxc.init === undefined) {
        throw new Error('Cannot start with a terminal: init.lxc.static, a part of LXC, is not installed');
      }
      rmSync(lxcLogPath(subject), { force: true });
      forgetSignal(subject.root);
      const stdio = Stdio.create(streamSettings(subject, runtime));
      undo.push(() => stdio.end());
      if (window !== undefined) stdio.resize(window);
      // 4. What LXC is to do, and LXC. Once it runs nothing is undone: the monitor does it at the end.
      // The holder is there before: what the program prints would be lost where both it and this daemon end at once.
      const [configPath] = await Promise.all([
        writeConfig(subject, runtime, stdio.terminalPath, found.user),
        stdio.hold(),
      ]);
      const process = await spawnLxc(subject, runtime, stdio, configPath);
      undo.length = 0;
      state.setRunning(process);
      return new Run(subject, runtime, process, stdio);
    } catch (error) {
      for (const undoStep of undo.reverse()) {
        try {
          await undoStep();
        } catch (problem) {
          runtime.log(`container ${subject.id}: ${errorMessage(problem)}`); // the caller is told the first error
        }
      }
      throw error;
    }
  }

  /** Goes on with a run that an earlier daemon began: its lxc-start is there. */
  static async adopt(subject: RunSubject, runtime: Runtime, process: ProcessId, holder?: Holder): Promise<Run> {
    const isOnRecord = subject.state.adopt(process, startedAtMs(process.startTicks));
    subject.network = await adoptNetwork(subject.id, subject.root, runtime);
    subject.logs.open();
    const stdio = Stdio.adopt(streamSettings(subject, runtime), holder);
    await stdio.hold();
    if (!isOnRecord) await subject.save();
    thawLeftover({ id: subject.id, root: subject.root, pid: process.pid });
    step('adopt', 'docker.go, Docker.restore', () => ({ id: subject.id, pid: process.pid }));
    return new Run(subject, runtime, process, stdio, keptSignal(subject.root));
  }

  /** Ends a run that ended while no daemon ran: its last output is still in its streams, its status in LXC's log. */
  static async conclude(subject: RunSubject, runtime: Runtime, holder?: Holder): Promise<void> {
    const { id, root, state, logs, config } = subject;
    // What has outlived its lxc-start would print on while its container is put on record as ended.
    await removeCgroups(id);
    const log = lxcLogPath(subject);
    const hasBegun = (statSync(log, { throwIfNoEntry: false })?.size ?? 0) > 0;
    if (!state.isRunning && !hasBegun) return withdraw(subject, holder);
    const finishedAtMs = lxcLogTime(log);
    // The daemon was killed before it had saved.
    if (!state.isRunning) state.setRunning(undefined, readProgramStart(log) ?? finishedAtMs);
    logs.open();
    const stdio = Stdio.adopt(streamSettings(subject, runtime), holder);
    thawLeftover({ id, root, pid: undefined });
    await removeLeftInterface(id, runtime);
    const exit = asSignalled(readLxcExit(log), keptSignal(root), config.hasTty);
    await conclude(subject, runtime, stdio, exit, finishedAtMs);
  }

  /** Sends a signal to the program. False where it does not run any more. */
  signal(signal: SignalName): boolean {
    const { state, config } = this.#subject;
    if (!state.isRunning) return false;
    this.#keepSignal(signal); // before it is sent: this daemon may be killed before it sees what came of it
    if (!signalContainer(this.#process.pid, signal, config.hasTty)) {
      this.#keepSignal(this.#lastSignal);
      return false;
    }
    this.#lastSignal = signal;
    step('signal', 'container.go, Container.Stop', () => ({ id: this.#subject.id, signal }));
    return true;
  }

  /** Freezes all processes of the container. Resolves with what lets them go on; with undefined where it is ending. */
  freeze(): Promise<(() => void) | undefined> {
    return freezeRun(this.#freezeSubject, this.#runtime.atExit);
  }

  /** Lets the container go on, whoever has frozen it. */
  thaw(): void {
    thawRun(this.#freezeSubject);
  }

  /** Tells the terminal its size; lxc-start copies it to the terminal inside when it gets SIGWINCH. */
  resize(window: WindowSize): void {
    if (!this.#subject.config.hasTty) return;
    this.stdio.resize(window);
    withPidfd(this.#process.pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGWINCH'));
  }

  /** Ends lxc-start itself, where its container does not end: the last resort. */
  abandon(): void {
    const { pid, startTicks } = this.#process;
    withPidfd(pid, (pidfd) => processStartTicks(pid) === startTicks && pidfdSendSignal(pidfd, 'SIGKILL'));
  }

  /** A disk that takes nothing must not keep anybody from ending what fills it. */
  #keepSignal(signal: SignalName | undefined): void {
    const { id, root } = this.#subject;
    try {
      keepSignal(root, signal);
    } catch (error) {
      this.#runtime.log(`container ${id}: cannot keep which signal it was sent: ${errorMessage(error)}`);
    }
  }

  get #freezeSubject(): FreezeSubject {
    const { id, root } = this.#subject;
    return { id, root, pid: this.#process.pid };
  }

  /** Waits for the end of lxc-start and frees what the run had. */
  async #monitor(): Promise<void> {
    const subject = this.#subject;
    try {
      const { poller } = this.#runtime;
      const { pid } = this.#process;
      await this.#reachOwnPorts();
      // Nobody is there to be told that no open file is left; the container runs on, and ends some time.
      if (subject.config.hasTty) await onceFilesAreLeft(() => endWithProgram(poller, pid));
      await processExit(poller, pid);
      const logged = await onceFilesAreLeft(() => readLxcExit(lxcLogPath(subject)));
      // LXC removes its cgroups last: one that was killed, or failed, leaves them, and maybe programs that print on.
      if (logged.failure !== undefined) await removeCgroups(subject.id);
      const exit = asSignalled(logged, this.#lastSignal, subject.config.hasTty);
      await conclude(subject, this.#runtime, this.stdio, exit, Date.now());
    } catch (error) {
      this.#runtime.log(`container ${subject.id}: ${errorMessage(error)}`);
      await releaseNetwork(subject, this.#runtime);
      if (subject.state.isRunning) subject.state.setStopped({ exitCode: -1, signal: undefined }, Date.now());
      subject.logs.close();
    }
  }

  /** Lets the container reach what it publishes, as soon as its interface is there. */
  async #reachOwnPorts(): Promise<void> {
    const { id, network } = this.#subject;
    if (network === undefined || network.ports.length === 0) return;
    try {
      await waitForProgram(this.#process.pid, START_TIMEOUT_MS);
      allowHairpin(hostInterfaceOf(id));
    } catch (error) {
      this.#runtime.log(`container ${id}: ${errorMessage(error)}`); // it works for all others
    }
  }
}

/** Writes config.lxc, and resolves with its path. */
async function writeConfig(
  subject: RunSubject,
  runtime: Runtime,
  terminalPath: string | undefined,
  user: User,
): Promise<string> {
  const { root, filesystem, config } = subject;
  const { hostname, ramBytes: memoryLimitBytes, hasTty, term } = config;
  const environment = ['HOME=/', `PATH=${SEARCH_PATH.join(':')}`, ...(hasTty ? [`TERM=${term}`] : [])];
  const { rootfs } = filesystem;
  const { network, files } = await prepareNetwork(subject, runtime);
  const settings = { hostname, rootfs, environment, memoryLimitBytes, terminalPath, user, network, files };
  const text = lxcConfig(settings, runtime.lxc);
  const configPath = join(root, 'config.lxc');
  writeFileUnsynced(configPath, text, 0o644);
  step('config', 'container.go, Container.generateLXCConfig', () => ({ configPath }));
  keepNetwork(root, subject.network);
  return configPath;
}

async function spawnLxc(subject: RunSubject, runtime: Runtime, stdio: Stdio, configPath: string): Promise<ProcessId> {
  const { id, path, args, config } = subject;
  createWithRoom(lxcLogPath(subject), LXC_LOG_ROOM_BYTES, LXC_LOG_MODE);
  const process = await spawnLxcStart({
    id,
    lxcPath: runtime.containersPath,
    configPath,
    logPath: lxcLogPath(subject),
    underInit: config.hasTty,
    command: [path, ...args],
    stdio: stdio.forLxc,
  });
  stdio.closeForLxc();
  return process;
}

/** A run of a program that cannot be run: it begins and ends at once, and says why where its errors go. */
async function endAtOnce(subject: RunSubject, runtime: Runtime, complaint: string, exitCode: number): Promise<void> {
  const { state, logs, config } = subject;
  state.setRunning(undefined);
  const line = `${goLogTime(new Date())} ${complaint}`;
  try {
    if (config.hasTty) logs.append(STDOUT, `${line}\r\n`);
    else logs.append(STDERR, `${line}\n`);
  } catch (error) {
    logs.giveUp(error); // who reads it is told; the run ends all the same, or it would be on record as running for good
  }
  await finish(subject, runtime, { exitCode, signal: undefined }, Date.now());
}

/** The end of a run, in the order of 2013's Container.monitor: status, streams, unmount, state, save. */
async function conclude(
  subject: RunSubject,
  runtime: Runtime,
  stdio: Stdio,
  exit: LxcExit,
  finishedAtMs: number,
): Promise<void> {
  step('exit', 'container.go, Container.monitor', () => ({ id: subject.id, ...exit }));
  if (exit.failure !== undefined) runtime.log(`container ${subject.id}: ${exit.failure}`);
  await stdio.end().catch((error: unknown) => runtime.log(`container ${subject.id}: ${errorMessage(error)}`));
  await finish(subject, runtime, exit, finishedAtMs, readProgramStart(lxcLogPath(subject)));
}

async function finish(
  subject: RunSubject,
  runtime: Runtime,
  exit: Pick<LxcExit, 'exitCode' | 'signal'>,
  finishedAtMs: number,
  programBeganAtMs?: number,
): Promise<void> {
  try {
    await subject.filesystem.endRun(programBeganAtMs);
  } catch (error) {
    runtime.log(`container ${subject.id}: ${errorMessage(error)}`); // the run is over all the same
  }
  await releaseNetwork(subject, runtime); // before anybody hears of the end, and wants the port
  // The state first: who reads the logs to their end then finds the status.
  subject.state.setStopped(exit, finishedAtMs);
  subject.logs.close();
  await subject.saveInTheEnd();
  forgetSignal(subject.root);
  if (existsSync(lxcLogPath(subject))) giveRoomBack(lxcLogPath(subject), LXC_LOG_ROOM_BYTES);
}

/** A run that a killed daemon had only prepared: nothing of it has happened. */
async function withdraw({ root, filesystem }: RunSubject, holder: Holder | undefined): Promise<void> {
  holder?.release();
  removeFifos(root);
  await umountIfMounted(filesystem);
}

async function umountIfMounted(filesystem: Filesystem): Promise<void> {
  if (await filesystem.isMounted()) await filesystem.umount();
}

/** 2013: container.go, Container.releaseNetwork */
async function releaseNetwork(subject: RunSubject, runtime: Runtime): Promise<void> {
  const { id, network } = subject;
  subject.network = undefined;
  if (network === undefined) return;
  try {
    await giveBack(id, network, runtime);
  } catch (error) {
    runtime.log(`container ${id}: ${errorMessage(error)}`); // the run is over all the same
  }
}

function streamSettings({ id, root, logs, config }: RunSubject, { poller, log }: Runtime): StdioSettings {
  const onProblem = (error: unknown): void => log(`container ${id}: cannot keep its output: ${errorMessage(error)}`);
  return { root, store: logs, poller, onProblem, hasTty: config.hasTty, isStdinOpen: config.isStdinOpen };
}

function lxcLogPath({ root }: RunSubject): string {
  return join(root, 'lxc.log');
}
