// A terminal with a screen, for tests: tmux types into it and reads it.

import { execFileSync, spawnSync } from 'node:child_process';
import { errorMessage } from '../../src/util/errors.js';
import { until } from '../harness.js';

let count = 0;

/** A terminal of 90 columns and 30 rows, at which a command runs. `close` ends that. */
export class Screen {
  readonly #socket = `tsdock-screen-${process.pid}-${++count}`;
  readonly #onExit = (): void => this.close();

  constructor(command: string, environment: Readonly<Record<string, string>>) {
    process.once('exit', this.#onExit); // also where the test run is ended from outside
    const words = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    this.#tmux('new-session', '-d', '-s', 'main', '-x', '90', '-y', '30', 'env', ...words, 'sh', '-c', command);
  }

  get text(): string {
    return this.#tmux('capture-pane', '-p', '-t', 'main');
  }

  /** Presses keys, by tmux's names for them. */
  type(...keys: string[]): void {
    this.#tmux('send-keys', '-t', 'main', ...keys);
  }

  /** Types a line on a screen that has been emptied. A quoted '' inside a word keeps what is typed from what is printed. */
  enter(line: string): void {
    this.#tmux('send-keys', '-R', '-t', 'main');
    this.#tmux('send-keys', '-t', 'main', '-l', line);
    this.type('Enter');
  }

  async shows(pattern: RegExp): Promise<void> {
    try {
      await until(() => pattern.test(this.text), `the screen shows ${String(pattern)}`);
    } catch (cause) {
      throw new Error(`${errorMessage(cause)}: ${this.text.trimEnd()}`, { cause });
    }
  }

  close(): void {
    process.off('exit', this.#onExit);
    spawnSync('tmux', ['-L', this.#socket, 'kill-server']);
  }

  #tmux(...args: string[]): string {
    return execFileSync('tmux', ['-L', this.#socket, '-f', '/dev/null', ...args]).toString();
  }
}
