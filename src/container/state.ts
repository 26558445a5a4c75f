// Whether a container runs, and how it ended. Many wait for the end; only two functions write.
//
// The rule that must hold: `setRunning` is called by the start of a run alone, `setStopped` at its end alone, or by
// Container.giveUp where no run is to be found.
//
// 2013: state.go, State

import { goTime, goTimeMs, ZERO_TIME } from '../util/go-time.js';
import type { GoValue } from '../util/go-json.js';
import type { LxcExit } from '../lxc/lxc-log.js';
import type { ProcessId } from '../lxc/lxc-start.js';
import { humanDuration } from '../util/human-duration.js';

/** The longest time that a timer takes, in milliseconds: more would be none at all. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** See the head of the file. */
export class State {
  #running = false;
  #pid = 0;
  /** Ours, not 2013's: with the pid it names lxc-start for good. */
  #startTicks = 0;
  #exitCode = 0;
  /** Ours: the signal that ended it, where one did. */
  #signal = 0;
  #startedAt = ZERO_TIME;
  /** Ours. */
  #finishedAt = ZERO_TIME;
  #waiters: (() => void)[] = [];

  /** The state that config.json holds. What is missing or of another type keeps the value of a container that never ran. */
  static fromJSON(json: Readonly<Record<string, unknown>>): State {
    const number = (key: string): number => (Number.isSafeInteger(json[key]) ? (json[key] as number) : 0);
    const time = (key: string): string => (typeof json[key] === 'string' ? json[key] : ZERO_TIME);
    const state = new State();
    state.#running = json['Running'] === true;
    state.#pid = number('Pid');
    state.#startTicks = number('StartTicks');
    state.#exitCode = number('ExitCode');
    state.#signal = number('Signal');
    state.#startedAt = time('StartedAt');
    state.#finishedAt = time('FinishedAt');
    return state;
  }

  toJSON(): GoValue {
    return {
      Running: this.#running,
      Pid: this.#pid,
      ExitCode: this.#exitCode,
      StartedAt: this.#startedAt,
      FinishedAt: this.#finishedAt,
      StartTicks: this.#startTicks,
      Signal: this.#signal,
    };
  }

  get isRunning(): boolean {
    return this.#running;
  }

  /** The pid of lxc-start; 0 where it does not run. */
  get pid(): number {
    return this.#pid;
  }

  /** The program's own status; -1 where a signal ended it. */
  get exitCode(): number {
    return this.#exitCode;
  }

  /** The status that a shell would see: 128 + n for signal n. */
  get shellStatus(): number {
    return this.#signal > 0 ? 128 + this.#signal : this.#exitCode;
  }

  /** When the last run began, in milliseconds since 1970. */
  get startedAtMs(): number {
    return goTimeMs(this.#startedAt);
  }

  /** As `ps` shows it. */
  toString(): string {
    if (!this.#running) return `Exit ${this.#exitCode}`;
    return `Up ${humanDuration((Date.now() - this.startedAtMs) / 1000)}`;
  }

  /** Whether it has ever run. */
  get hasRun(): boolean {
    return this.#startedAt !== ZERO_TIME;
  }

  /**
   * A run begins, or began at `beganAtMs`, in milliseconds since 1970. `process` is undefined where there is nothing to run:
   * it ends at once.
   */
  setRunning(process: ProcessId | undefined, beganAtMs = Date.now()): void {
    this.#running = true;
    this.#exitCode = 0;
    this.#signal = 0;
    this.#pid = process?.pid ?? 0;
    this.#startTicks = process?.startTicks ?? 0;
    this.#startedAt = goTime(beganAtMs);
  }

  /**
   * An earlier daemon's run goes on; its times stay. False where it was not on record, as that daemon was killed before it
   * had saved: then it began at `beganAtMs`.
   */
  adopt(process: ProcessId, beganAtMs: number): boolean {
    const isOnRecord = this.#running && [0, process.startTicks].includes(this.#startTicks);
    if (!isOnRecord) this.setRunning(process, beganAtMs);
    this.#pid = process.pid;
    this.#startTicks = process.startTicks;
    return isOnRecord;
  }

  /** The run is over: `finishedAtMs` is when, in milliseconds since 1970. Wakes all who wait. */
  setStopped({ exitCode, signal }: Pick<LxcExit, 'exitCode' | 'signal'>, finishedAtMs: number): void {
    this.#running = false;
    this.#pid = 0;
    this.#startTicks = 0;
    this.#exitCode = exitCode;
    this.#signal = signal ?? 0;
    this.#finishedAt = goTime(finishedAtMs);
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }

  /** Resolves when it does not run: at once, or at the end of this run. Rejects with the reason of `signal` when that aborts. */
  wait(signal?: AbortSignal): Promise<void> {
    if (!this.#running) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((waiter) => waiter !== wake);
        reject(signal?.reason as Error); // the DOMException of an AbortController, unless its owner gave an Error
      };
      const wake = (): void => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      this.#waiters.push(wake);
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The same, for at most `timeoutMs`. False where it still runs then. */
  async waitTimeout(timeoutMs: number): Promise<boolean> {
    const expiry = new AbortController();
    const timer = setTimeout(() => expiry.abort(), Math.min(timeoutMs, LONGEST_TIMER_MS));
    try {
      await this.wait(expiry.signal);
      return true;
    } catch (error) {
      if (expiry.signal.aborted) return false;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}
