// What is done to a container while its program does nothing: a running one is frozen meanwhile, a stopped one not started.
//
// `Container` has one, and waits for its ends before it starts, stops or kills anything.
//
// 2013: none; CmdCommit and CmdTar packed what a running program was still writing

import { waitForProgram } from '../lxc/container-init.js';
import type { Run } from './run.js';
import type { State } from './state.js';

/** How long a container may take to get as far as its program, and to be gone once it is ending. */
const LXC_TIMEOUT_MS = 10_000;

/** What of a container is asked for. */
export interface PauseSubject {
  readonly id: string;
  readonly state: State;
  waitTimeout(timeoutMs: number): Promise<boolean>;
  /** what is so at this moment */
  now(): Moment;
}

/** See `PauseSubject`. */
export interface Moment {
  /** it is being removed */
  isRetired: boolean;
  /** the run that is under way */
  run: Run | undefined;
  starting: Promise<void> | undefined;
  killing: Promise<void> | undefined;
}

/** See the head of the file. */
export class Pauses {
  readonly #subject: PauseSubject;
  #frozen: Promise<void> | undefined;
  #frozenMs = 0;
  #handling: Promise<unknown> = Promise.resolve();

  constructor(subject: PauseSubject) {
    this.#subject = subject;
  }

  /** `whileFrozen` under way; resolves at its end, whatever that is. */
  get frozen(): Promise<void> | undefined {
    return this.#frozen;
  }

  /** How long it was frozen, all in all, in milliseconds. */
  get frozenMs(): number {
    return this.#frozenMs;
  }

  /** What is done to the stopped container; resolves at its end, whatever that is. */
  get handling(): Promise<unknown> {
    return this.#handling;
  }

  /** See `Container.whileFrozen`. */
  async whileFrozen<T>(body: () => Promise<T>): Promise<T> {
    const { id } = this.#subject;
    // DIFFERS D33: the original packed what a running program was still writing.
    // What changes whether it runs comes first; a kill could not end a frozen process.
    for (let busy = this.#busy; busy !== undefined; busy = this.#busy) await busy.catch(() => undefined);
    if (this.#subject.now().isRetired) throw new Error(`No such container: ${id}`);
    const frozen = this.#freezeDuring(body).finally(() => (this.#frozen = undefined));
    this.#frozen = frozen.then(
      () => undefined,
      () => undefined, // the caller is told
    );
    return frozen;
  }

  /** See `Container.whileStopped`. */
  whileStopped<T>(action: string, body: () => Promise<T>): Promise<T> {
    const done = this.#handling.then(() => {
      const { id, state } = this.#subject;
      if (state.isRunning || this.#subject.now().starting !== undefined)
        throw new Error(`Cannot ${action} "${id}": the container is running`);
      return body();
    });
    this.#handling = done.catch(() => undefined); // whoever asked for it is told
    return done;
  }

  get #busy(): Promise<void> | undefined {
    const { killing, starting } = this.#subject.now();
    return this.#frozen ?? killing ?? starting;
  }

  async #freezeDuring<T>(body: () => Promise<T>): Promise<T> {
    const subject = this.#subject;
    let thaw: (() => void) | undefined;
    let began = performance.now();
    try {
      if (subject.state.isRunning) {
        await waitForProgram(subject.state.pid, LXC_TIMEOUT_MS); // LXC is not frozen in the middle of its own work
        began = performance.now();
        thaw = await subject.now().run?.freeze();
        if (thaw === undefined) await subject.waitTimeout(LXC_TIMEOUT_MS); // it is ending
      }
      return await body();
    } finally {
      thaw?.();
      this.#frozenMs += performance.now() - began;
    }
  }
}
