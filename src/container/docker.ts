// All containers of a data directory: made, found, listed, removed. `restore.ts` finds them again for the next daemon.
//
// 2013: docker.go, Docker

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree } from '../linux/remove-tree.js';
import { removeCgroups } from '../lxc/cgroups.js';
import { containerInit, waitForProgram } from '../lxc/container-init.js';
import { NotSyncedError, renameDurably, temporaryName } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { randomId } from '../util/ids.js';
import { step } from '../util/steps.js';
import { Turns } from '../util/turns.js';
import { Container } from './container.js';
import type { NewContainer } from './container-record.js';
import { allocateNetwork } from './networking.js';
import { restoreContainers } from './restore.js';
import type { RunningContainer, Runtime } from './runtime.js';

/** How often what could not be removed is tried again, in milliseconds. */
const DISCARD_RETRY_MS = 500;
/** How long a container may take to get as far as its program, in milliseconds. */
const START_TIMEOUT_MS = 10_000;
/** How many containers are being started at the same time: each step of it is short, but nobody is answered during it. */
const STARTS_AT_ONCE = 3;

/** See the head of the file. */
export class Docker {
  readonly #runtime: Runtime;
  readonly #containers = new Map<string, Container>();
  /** ids that are being made, so that none is given twice */
  readonly #reserved = new Set<string>();

  /** removals under way */
  readonly #destroying = new Map<Container, Promise<void>>();

  private constructor(runtime: Omit<Runtime, 'running' | 'starts'>) {
    this.#runtime = { ...runtime, starts: new Turns(STARTS_AT_ONCE), running: (id) => this.#running(id) };
  }

  /**
   * Opens the folder of containers and brings every container into the state that it really is in: those that run are
   * taken over, those that ended meanwhile are concluded. 2013: NewFromDirectory and Docker.restore
   */
  static async open(runtime: Omit<Runtime, 'running' | 'starts'>): Promise<Docker> {
    const docker = new Docker(runtime);
    await mkdir(runtime.containersPath, { recursive: true, mode: 0o700 });
    await restoreContainers(docker.#runtime, docker.#containers, (container) => docker.destroy(container));
    await runtime.network.ready();
    return docker;
  }

  /** All containers, newest first. 2013: Docker.List and History */
  list(): Container[] {
    return [...this.#containers.values()].reverse().sort((a, b) => b.createdAtMs - a.createdAtMs);
  }

  /** The container of that id; undefined where there is none. 2013: Docker.Get */
  get(id: string): Container | undefined {
    return this.#containers.get(id);
  }

  get size(): number {
    return this.#containers.size;
  }

  /** Whether a container has the layer of that path. */
  usesLayer(layer: string): boolean {
    for (const { layers } of this.#containers.values()) if (layers.includes(layer)) return true;
    return false;
  }

  /**
   * Makes a container with an id of its own. The address and the ports of its first run are taken before anything else: where
   * that cannot be, nothing is made. 2013: Docker.Create
   */
  async create(container: Omit<NewContainer, 'id'>): Promise<Container> {
    const id = this.#newId();
    try {
      const network = await allocateNetwork(id, container.config, this.#runtime);
      try {
        const created = await this.#runtime.starts.take(() =>
          Container.create(this.#runtime, { ...container, id }, network),
        );
        this.#containers.set(id, created);
        return created;
      } catch (error) {
        if (network !== undefined) await this.#runtime.network.release(network);
        throw error;
      }
    } finally {
      this.#reserved.delete(id);
    }
  }

  /**
   * Stops the container (at once with `isForced`) and removes everything of it. The folder goes from sight in one step
   * and is emptied afterwards. 2013: Docker.Destroy
   */
  async destroy(container: Container, isForced = false): Promise<void> {
    if (isForced) await container.kill(); // also where another call stops it gently
    const underWay = this.#destroying.get(container) ?? this.#destroy(container, isForced);
    this.#destroying.set(container, underWay);
    try {
      await underWay;
    } finally {
      this.#destroying.delete(container);
    }
  }

  /**
   * Removes a container whose first start has failed: nobody was told its id. Never rejects: what keeps it from being removed
   * now (a full disk, no file handles) is told to the log, and it is tried again until it works.
   */
  async discard(container: Container): Promise<void> {
    try {
      await this.destroy(container, true);
    } catch (error) {
      this.#runtime.log(`container ${container.id}: ${errorMessage(error)}; it is tried again`);
      this.#discardLater(container);
    }
  }

  #discardLater(container: Container): void {
    const retry = (): void => void this.destroy(container, true).catch(() => this.#discardLater(container));
    setTimeout(retry, DISCARD_RETRY_MS).unref();
  }

  async #destroy(container: Container, isForced: boolean): Promise<void> {
    const { containersPath, log } = this.#runtime;
    const doomed = join(containersPath, temporaryName(container.id));
    try {
      await container.retire(isForced);
      if (this.#containers.get(container.id) !== container) return; // it is gone already
      await container.filesystem.destroy();
      await renameDurably(container.root, doomed);
    } catch (error) {
      if (!(error instanceof NotSyncedError)) {
        container.reinstate();
        throw error;
      }
      log(`container ${container.id}: ${errorMessage(error)}`); // it has gone from its place
    }
    this.#containers.delete(container.id);
    try {
      await removeTree(doomed);
    } finally {
      await removeCgroups(container.id);
    }
    step('destroy', 'docker.go, Docker.Destroy', () => ({ id: container.id }));
  }

  /** For a container that is to share the network of the container `id`. */
  async #running(id: string): Promise<RunningContainer> {
    const container = this.#containers.get(id);
    if (container === undefined) throw new Error(`No such container: ${id}`);
    const { state } = container;
    if (state.isRunning) await waitForProgram(state.pid, START_TIMEOUT_MS); // LXC makes the network on the way
    const pid = state.isRunning ? containerInit(state.pid) : undefined;
    if (pid === undefined) throw new Error(`Cannot share the network of container ${id}: it is not running`);
    return { pid, network: container.network };
  }

  #newId(): string {
    for (;;) {
      const id = randomId();
      if (this.#containers.has(id) || this.#reserved.has(id)) continue;
      this.#reserved.add(id);
      return id;
    }
  }
}
