// What all containers of one daemon share.

import type { MountDriver } from '../filesystem/mount-driver.js';
import type { Poller } from '../linux/poller.js';
import type { LxcMachine } from '../lxc/lxc-config.js';
import type { NetworkInterface } from '../network/network-interface.js';
import type { NetworkManager } from '../network/network-manager.js';
import type { Turns } from '../util/turns.js';
import type { DamageReport } from '../util/damage-report.js';

/** See the head of the file. */
export interface Runtime {
  /** the folder of all containers, absolute; also LXC's own path */
  readonly containersPath: string;
  /** the folder of all layers, absolute */
  readonly layersPath: string;
  readonly driver: MountDriver;
  readonly lxc: LxcMachine;
  readonly network: NetworkManager;
  readonly poller: Poller;
  /** what the log of a container may have on disk, in bytes; 0 for any amount */
  readonly logMaxBytes: number;
  /** the turns of those that begin a run */
  readonly starts: Turns;
  /** what must not outlive the daemon: done when it ends, without a wait */
  readonly atExit: Set<() => void>;
  /** told of what is damaged on disk */
  readonly damage: DamageReport;
  /** the layers of an image on record, by its id; absolute paths, top first */
  readonly layersOf: (imageId: string) => readonly string[] | undefined;
  /** a line for the daemon's log: what no caller is there to be told */
  readonly log: (line: string) => void;
  /** another container, by its id. Rejects where it does not run. */
  readonly running: (id: string) => Promise<RunningContainer>;
}

/** What of a running container another one may have a part in. */
export interface RunningContainer {
  /** of its first process */
  readonly pid: number;
  /** what it has of the bridge */
  readonly network: NetworkInterface | undefined;
}
