// What all commands of the server work on. The commands themselves are split by what they touch; each class adds its
// own to the chain, and `Server` is the end of it.
//
// 2013: dockerd/dockerd.go, type Server

import type { Container } from '../container/container.js';
import type { Docker } from '../container/docker.js';
import type { Store } from '../image/store.js';
import type { NetworkManager } from '../network/network-manager.js';
import type { Command } from '../rcli/command.js';
import type { DamageReport } from '../util/damage-report.js';

/** What a server is made of. */
export interface ServerParts {
  readonly containers: Docker;
  readonly images: Store;
  /** of the program */
  readonly version: string;
  /** of LXC */
  readonly lxcVersion: string;
  /** the name of the mount driver in use */
  readonly driver: string;
  readonly network: NetworkManager;
  /** what is damaged on disk */
  readonly damage: DamageReport;
  /** the address of the web page, once there is one */
  readonly webUrl: () => string | undefined;
  /** a line for the daemon's log */
  readonly log: (line: string) => void;
}

/** See the head of the file. */
export abstract class ServerBase {
  protected readonly parts: ServerParts;

  constructor(parts: ServerParts) {
    this.parts = parts;
  }

  /** The declarations of the commands, in the order of the overview. */
  abstract readonly commands: readonly Command[];

  /** The container of that id. Throws the error of 2013 where there is none. */
  protected container(name: string): Container {
    const container = this.parts.containers.get(name);
    if (container === undefined) throw new Error(`No such container: ${name}`);
    return container;
  }
}
