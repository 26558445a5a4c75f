// What the beginning, the life and the end of a run have to do with: its container, and where its parts lie.

import { join } from 'node:path';
import type { Filesystem } from '../filesystem/filesystem.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { errorMessage } from '../util/errors.js';
import type { Config } from './config.js';
import type { LogStore } from './log-store.js';
import type { Runtime } from './runtime.js';
import type { State } from './state.js';
import type { StdioSettings } from './stdio.js';

/** What LXC's log takes at most: on a disk that is full by then it must still say how the program ended. */
export const LXC_LOG_ROOM_BYTES = 64 * 1024;

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

/** What its streams depend on. */
export function streamSettings({ id, root, logs, config }: RunSubject, { poller, log }: Runtime): StdioSettings {
  const onProblem = (error: unknown): void => log(`container ${id}: cannot keep its output: ${errorMessage(error)}`);
  return { root, store: logs, poller, onProblem, hasTty: config.hasTty, isStdinOpen: config.isStdinOpen };
}

/** The log that LXC writes: it tells how the program began, and how it ended. */
export function lxcLogPath({ root }: RunSubject): string {
  return join(root, 'lxc.log');
}
