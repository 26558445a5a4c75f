// What all containers of one daemon share.

import type { MountDriver } from '../filesystem/mount-driver.js';
import type { Poller } from '../linux/poller.js';
import type { LxcMachine } from '../lxc/lxc-config.js';

/** See the head of the file. */
export interface Runtime {
  /** the folder of all containers, absolute; also LXC's own path */
  readonly containersPath: string;
  /** the folder of all layers, absolute */
  readonly layersPath: string;
  readonly driver: MountDriver;
  readonly lxc: LxcMachine;
  readonly poller: Poller;
  /** what must not outlive the daemon: done when it ends, without a wait */
  readonly atExit: Set<() => void>;
  /** a line for the daemon's log: what no caller is there to be told */
  readonly log: (line: string) => void;
}
