// Moves what a container prints from its FIFOs into its log files, as it comes.
//
// DIFFERS D14: the original kept a container's logs and streams in memory, and lost them with the daemon.
//
// The bytes go by splice(2) and never through the daemon's memory: at every instant each of them is either still in a
// FIFO, which the holder process keeps alive, or in the log. That is why a killed daemon loses and doubles nothing, and
// why a container that prints fast costs the daemon no memory. Where the log cannot be written (a full disk), the pump
// waits and tries again, and the program waits with it.
//
// Owns the descriptors given to it until `ended`.
//
// 2013: container.go, Container.monitor (io.Copy into writeBroadcasters)

import { closeSync } from 'node:fs';
import { spliceFromTerminal, spliceToFile } from '../linux/pipe.js';
import type { Poller } from '../linux/poller.js';
import type { StreamNumber } from './log-records.js';
import type { LogStore } from './log-store.js';

/** How long to wait before the log is tried again, in milliseconds. */
const RETRY_MS = 500;
/** What a terminal hands over at once, in bytes. */
const TERMINAL_BYTES = 64 * 1024;

/** Where one stream comes from. */
export interface OutputSource {
  stream: StreamNumber;
  /** the FIFO's reading side, non-blocking */
  fifo: number;
  /** a pty master that is emptied into the FIFO (then open for writing too), and the other side, held open */
  terminal?: { master: number; peer: number };
}

/** The pump of one run. */
export class OutputPump {
  /** Resolves when all streams are at their end and in the log. Never rejects. */
  readonly ended: Promise<void>;
  readonly #poller: Poller;
  readonly #store: LogStore;
  readonly #onProblem: (error: unknown) => void;
  #isFinishing = false;
  #lastMove: Promise<unknown> = Promise.resolve();
  #finish: () => void = () => undefined;
  readonly #finishing = new Promise<void>((resolve) => (this.#finish = resolve));

  /** `onProblem` is told once a run why the log cannot be written. */
  constructor(poller: Poller, store: LogStore, sources: OutputSource[], onProblem: (error: unknown) => void) {
    this.#poller = poller;
    this.#store = store;
    let isTold = false;
    this.#onProblem = (error) => {
      if (!isTold) onProblem(error);
      isTold = true;
    };
    // A stream that cannot be watched at all is given up, and told like a log that cannot be written.
    const pumps = sources.map((source) => this.#pump(source).catch(this.#onProblem));
    this.ended = Promise.all(pumps).then(() => undefined);
  }

  /** The program has ended: what is still on the way is moved, and then it is over, also where the log cannot be written. */
  finish(): void {
    this.#isFinishing = true;
    this.#finish();
  }

  async #pump({ stream, fifo, terminal }: OutputSource): Promise<void> {
    // Of a terminal only the master is watched. Its other side is held open here, so that it cannot hang up before
    // lxc-start has opened it; the end is told by `finish`.
    const ready = new Readiness(this.#poller, terminal?.master ?? fifo);
    try {
      for (;;) {
        // Before the look: what is printed between a look that finds nothing and the end must be looked for once more.
        const isLastLook = this.#isFinishing;
        if (terminal !== undefined) spliceFromTerminal(terminal.master, fifo, TERMINAL_BYTES);
        const moved = await this.#inTurn(() => this.#moveToLog(stream, fifo));
        if (moved > 0) continue;
        if (moved === 0 || isLastLook) return;
        if (!this.#isFinishing) await Promise.race([ready.next(), this.#finishing]);
      }
    } finally {
      ready.stop();
      for (const fd of [fifo, terminal?.master, terminal?.peer]) if (fd !== undefined) closeSync(fd);
    }
  }

  /**
   * One move at a time, in the order in which the kernel reported the streams ready: two at once on two threads would
   * end in any order, and an error would come after what was printed after it.
   */
  #inTurn(move: () => Promise<number>): Promise<number> {
    const moved = this.#lastMove.then(move);
    this.#lastMove = moved;
    return moved;
  }

  /** Moves one piece. Resolves with its length: 0 at the end of the FIFO, -1 where nothing is there now. */
  async #moveToLog(stream: StreamNumber, fifo: number): Promise<number> {
    const moved = await this.#persist(async () => {
      await this.#store.makeRoom();
      const { fd, position } = this.#store.target(stream);
      return spliceToFile(fifo, fd, position, this.#store.room);
    });
    if (moved === undefined) return 0;
    if (moved <= 0) return moved;
    const isRecorded = await this.#persist(() => {
      this.#store.appended(stream, moved);
      return true;
    });
    // Without its record the next piece would be put over this one.
    return isRecorded === true ? moved : 0;
  }

  /** Does `write` until it succeeds. Undefined where the program is gone and its last words cannot be kept. */
  async #persist<T>(write: () => T | Promise<T>): Promise<T | undefined> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        this.#onProblem(error);
        if (this.#isFinishing) {
          this.#store.giveUp(error);
          return undefined;
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
  }
}

/** Waits for one descriptor, again and again. */
class Readiness {
  readonly #poller: Poller;
  readonly #fd: number;
  #isAdded = false;
  #wake: () => void = () => undefined;

  constructor(poller: Poller, fd: number) {
    this.#poller = poller;
    this.#fd = fd;
  }

  /** Resolves when the descriptor can be read or its other side is gone. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#isAdded) this.#poller.rearm(this.#fd);
      else this.#poller.add(this.#fd, () => this.#wake());
      this.#isAdded = true;
    });
  }

  stop(): void {
    this.#poller.remove(this.#fd);
  }
}
