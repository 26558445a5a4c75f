// The streams of one run of a container: how its stdin, stdout and stderr reach the daemon and survive it.
//
// Without a terminal: a FIFO a stream in the container's folder; stdin is /dev/null unless it is to stay open. With one:
// a pseudo terminal as peer of LXC's console, emptied into one FIFO. A holder process keeps them all alive.
//
// Owns the FIFOs, the holder, the pump and stdin, from `create` or `adopt` to `end`.
//
// 2013: container.go, Container.start, startPty, StdinPipe, StdoutPipe and StderrPipe

import { closeSync, existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { onceFilesAreLeft } from '../linux/open-files.js';
import type { Poller } from '../linux/poller.js';
import { setWindowSize, type WindowSize } from '../linux/pty.js';
import { Holder } from './holder.js';
import type { LogStore } from './log-store.js';
import { OutputPump } from './output-pump.js';
import { adoptPipes, adoptTerminal, createPipes, createTerminal, FIFO_NAMES, type OpenStreams } from './streams.js';
import { TerminalInput } from './terminal-input.js';

/** What the streams depend on. */
export interface StdioSettings {
  /** the container's folder */
  root: string;
  hasTty: boolean;
  isStdinOpen: boolean;
  poller: Poller;
  store: LogStore;
  /** told once why the log cannot be written */
  onProblem: (error: unknown) => void;
}

/** See the head of the file. */
export class Stdio {
  /** Moves the output into the log; its `ended` is the end of the streams. */
  readonly pump: OutputPump;
  readonly #root: string;
  readonly #poller: Poller;
  readonly #streams: OpenStreams;
  #holder: Holder | undefined;
  /** the start of one */
  #holding: Promise<void> = Promise.resolve();
  #isEnded = false;

  private constructor({ root, poller, store, onProblem }: StdioSettings, streams: OpenStreams, holder?: Holder) {
    this.#root = root;
    this.#poller = poller;
    this.#streams = streams;
    this.#holder = holder;
    this.pump = new OutputPump(poller, store, streams.sources, onProblem);
  }

  /** Makes the streams of a new run. The log must be open. */
  static create(settings: StdioSettings): Stdio {
    removeFifos(settings.root);
    const { root, hasTty, isStdinOpen } = settings;
    return new Stdio(settings, hasTty ? createTerminal(root) : createPipes(root, isStdinOpen));
  }

  /** Takes the streams of a run over that an earlier daemon began. `holder` is undefined where it was killed too. */
  static adopt(settings: StdioSettings, holder: Holder | undefined): Stdio {
    const { root, hasTty } = settings;
    return new Stdio(settings, hasTty ? adoptTerminal(root, holder) : adoptPipes(root, holder), holder);
  }

  /** Descriptors for lxc-start. */
  get forLxc(): readonly number[] {
    return this.#streams.forLxc;
  }

  /** The path of the peer terminal, where there is a terminal. */
  get terminalPath(): string | undefined {
    return this.#streams.terminalPath;
  }

  /** Where to write for the program to read; undefined where its stdin is empty or already at its end. */
  get stdin(): Writable | undefined {
    return this.#streams.stdin;
  }

  /** lxc-start has its descriptors, or never will: closes ours, without which the output would have no end. */
  closeForLxc(): void {
    for (const fd of new Set(this.#streams.forLxc)) closeSync(fd);
    this.#streams.forLxc = [];
  }

  /** Starts the holder, unless there is one. Rejects where the process cannot be started. */
  async hold(): Promise<void> {
    if (this.#holder === undefined) this.#holding = this.#startHolder();
    await this.#holding;
  }

  async #startHolder(): Promise<void> {
    const streams = this.#streams.openForHolder();
    try {
      this.#holder = await Holder.start(streams, this.#poller);
    } finally {
      this.#streams.closeForHolder(streams);
    }
  }

  /** What was typed ahead may come now: see `createTerminal`. */
  releaseTyped(): void {
    const { stdin } = this.#streams;
    if (stdin instanceof TerminalInput) stdin.release();
  }

  /** Passes the end of input on to the program. */
  async endStdin(): Promise<void> {
    const { stdin } = this.#streams;
    if (stdin === undefined || this.#isEnded) return;
    if (stdin instanceof TerminalInput) return stdin.sendEndOfInput();
    this.#streams.stdin = undefined; // from here on `openForHolder` leaves it out
    await new Promise<void>((resolve) => {
      if (stdin.closed) resolve();
      stdin.once('close', resolve);
      stdin.end();
    });
    await this.#replaceHolder();
  }

  /** The holder has the write end of stdin too: another one, without it, takes its place. */
  async #replaceHolder(): Promise<void> {
    if (this.#isEnded) return;
    const before = this.#holder;
    // In time, where no open file is left: without it the program would wait for more input for good.
    this.#holding = onceFilesAreLeft(() => (this.#isEnded ? undefined : this.#startHolder()));
    await this.#holding;
    if (this.#holder !== before) await onceFilesAreLeft(() => before?.release()); // else it ended meanwhile
  }

  /** Tells the terminal its size. LXC passes it on when it gets SIGWINCH. */
  resize(size: WindowSize): void {
    const master = this.#streams.sources[0]?.terminal?.master;
    if (master !== undefined && !this.#isEnded) setWindowSize(master, size);
  }

  /** The program has ended: drains what it printed, then frees everything. */
  async end(): Promise<void> {
    this.#isEnded = true;
    this.closeForLxc();
    this.#streams.stdin?.destroy();
    this.pump.finish();
    await this.pump.ended;
    await this.#holding.catch(() => undefined); // who asked for it is told
    // In its own time, where no open file is left: it must not stay for good.
    void onceFilesAreLeft(() => this.#holder?.release()).catch(() => undefined);
    removeFifos(this.#root);
  }
}

/** Whether the streams of a run are in a container's folder. */
export function hasFifos(root: string): boolean {
  return FIFO_NAMES.some((name) => existsSync(join(root, name)));
}

/** Takes them away. */
export function removeFifos(root: string): void {
  for (const name of FIFO_NAMES) rmSync(join(root, name), { force: true });
}
