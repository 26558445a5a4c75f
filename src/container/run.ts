// One run of a container, while it goes on: what can be done to it, and a monitor that sees its end. `run-begin.ts` has how it
// begins, `run-end.ts` how it ends.
//
// Owns the mount, the streams and the open logs. The monitor alone frees them and moves the state from running to
// stopped, also for a run that an earlier daemon began.
//
// 2013: container.go, Container.monitor

import { onceFilesAreLeft } from '../linux/open-files.js';
import { processExit } from '../linux/process-exit.js';
import { pidfdSendSignal, processStartTicks, startedAtMs, withPidfd, type SignalName } from '../linux/process.js';
import type { WindowSize } from '../linux/pty.js';
import { removeCgroups } from '../lxc/cgroups.js';
import { endWithProgram, signalContainer, waitForProgram } from '../lxc/container-init.js';
import { asSignalled, readLxcExit } from '../lxc/lxc-log.js';
import type { ProcessId } from '../lxc/lxc-start.js';
import { allowHairpin } from '../network/hairpin.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { errorMessage } from '../util/errors.js';
import { step } from '../util/steps.js';
import { freezeRun, thawLeftover, thawRun, type FreezeSubject } from './freezing.js';
import type { Holder } from './holder.js';
import { adoptNetwork, hostInterfaceOf } from './networking.js';
import { beginRun } from './run-begin.js';
import { conclude, releaseNetwork } from './run-end.js';
import { lxcLogPath, streamSettings, type RunSubject } from './run-subject.js';
import type { Runtime } from './runtime.js';
import { keepSignal, keptSignal } from './sent-signal.js';
import { Stdio } from './stdio.js';

/** How long LXC may take until the program runs. */
const START_TIMEOUT_MS = 10_000;

/** See the head of the file. */
export class Run {
  readonly stdio: Stdio;
  /** Resolves when everything of the run is freed and on disk. Never rejects: the daemon's log is told. */
  readonly ended: Promise<void>;
  readonly #subject: RunSubject;
  readonly #runtime: Runtime;
  readonly #process: ProcessId;
  #lastSignal: SignalName | undefined;
  /** lxc-start is still to be told of a size */
  #resizing: Promise<unknown> | undefined;

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

  /** Begins a run: see `beginRun`. Undefined where there was no such program. */
  static async start(
    subject: RunSubject,
    runtime: Runtime,
    network: NetworkInterface | undefined,
    window: WindowSize | undefined,
  ): Promise<Run | undefined> {
    const begun = await beginRun(subject, runtime, network, window);
    return begun === undefined ? undefined : new Run(subject, runtime, begun.process, begun.stdio);
  }

  /** Goes on with a run that an earlier daemon began: its lxc-start is there. */
  static async adopt(subject: RunSubject, runtime: Runtime, process: ProcessId, holder?: Holder): Promise<Run> {
    const isOnRecord = subject.state.adopt(process, startedAtMs(process.startTicks));
    subject.network = await adoptNetwork(subject.id, subject.root, runtime);
    subject.logs.open();
    thawLeftover({ id: subject.id, root: subject.root, pid: process.pid });
    const lastSignal = keptSignal(subject.root);
    const stdio = Stdio.adopt(streamSettings(subject, runtime), holder);
    // From here on its output is being moved, so nothing fails any more: who tried again would put a second pump beside.
    await stdio.hold().catch((error: unknown) => runtime.log(`container ${subject.id}: ${errorMessage(error)}`));
    if (!isOnRecord) await subject.saveInTheEnd();
    step('adopt', 'docker.go, Docker.restore', () => ({ id: subject.id, pid: process.pid }));
    return new Run(subject, runtime, process, stdio, lastSignal);
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
    const { pid } = this.#process;
    const tell = (): unknown => withPidfd(pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGWINCH'));
    try {
      tell();
    } catch {
      // No open file is left, which is nothing that the caller could mend. Later, once for all sizes that it has until then.
      this.#resizing ??= onceFilesAreLeft(tell).then(
        () => (this.#resizing = undefined),
        () => (this.#resizing = undefined), // it has ended
      );
    }
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
      if (subject.config.hasTty) {
        await onceFilesAreLeft(() => waitForProgram(pid, START_TIMEOUT_MS));
        this.stdio.releaseTyped();
        await onceFilesAreLeft(() => endWithProgram(poller, pid));
      }
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
