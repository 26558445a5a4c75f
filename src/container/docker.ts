// All containers of a data directory: made, found, listed, removed, and found again by the next daemon.
//
// 2013: docker.go, Docker

import { mkdir, readdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { removeTree } from '../linux/remove-tree.js';
import { removeCgroups } from '../lxc/cgroups.js';
import { containerInit, waitForProgram } from '../lxc/container-init.js';
import { findLxcStarts } from '../lxc/lxc-start.js';
import { isTemporary, removeTemporaries, syncFolder, temporaryName } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { randomId } from '../util/ids.js';
import { step } from '../util/steps.js';
import { Container, type NewContainer } from './container.js';
import { Holder } from './holder.js';
import { allocateNetwork } from './networking.js';
import type { RunningContainer, Runtime } from './runtime.js';

/** How long a container may take to get as far as its program, in milliseconds. */
const START_TIMEOUT_MS = 10_000;

/** See the head of the file. */
export class Docker {
  readonly #runtime: Runtime;
  readonly #containers = new Map<string, Container>();
  /** ids that are being made, so that none is given twice */
  readonly #reserved = new Set<string>();

  /** removals under way */
  readonly #destroying = new Map<Container, Promise<void>>();
  #damage: string | undefined;

  private constructor(runtime: Omit<Runtime, 'running'>) {
    this.#runtime = { ...runtime, running: (id) => this.#running(id) };
  }

  /**
   * Opens the folder of containers and brings every container into the state that it really is in: those that run are
   * taken over, those that ended meanwhile are concluded. 2013: NewFromDirectory and Docker.restore
   */
  static async open(runtime: Omit<Runtime, 'running'>): Promise<Docker> {
    const docker = new Docker(runtime);
    await mkdir(runtime.containersPath, { recursive: true, mode: 0o700 });
    await removeTemporaries(runtime.containersPath, async (left) => {
      // One that cannot be removed is no reason not to start.
      await removeTree(left).then(
        () => runtime.log(`removed unfinished ${basename(left)}`),
        (error: unknown) => runtime.log(errorMessage(error)),
      );
    });
    await docker.#restore();
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
    for (const { filesystem } of this.#containers.values()) if (filesystem.layers.includes(layer)) return true;
    return false;
  }

  /** Why there may be containers, or layers of containers, that are not known here; undefined where all could be read. */
  get damage(): string | undefined {
    return this.#damage;
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
        const created = await Container.create(this.#runtime, { ...container, id }, network);
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

  async #destroy(container: Container, isForced: boolean): Promise<void> {
    await container.retire(isForced);
    if (this.#containers.get(container.id) !== container) return; // it is gone already
    await container.filesystem.destroy();
    const { containersPath } = this.#runtime;
    const doomed = join(containersPath, temporaryName(container.id));
    await rename(container.root, doomed);
    this.#containers.delete(container.id);
    await syncFolder(containersPath);
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

  async #restore(): Promise<void> {
    const { containersPath, log } = this.#runtime;
    const loaded: Container[] = [];
    for (const name of await readdir(containersPath)) {
      if (isTemporary(name)) continue;
      try {
        const container = await Container.load(this.#runtime, join(containersPath, name));
        if (!container.hasKnownLayers) this.#damage = `the layers of container ${name} are not known`;
        loaded.push(container);
      } catch (error) {
        this.#damage = `container ${name} cannot be read`;
        log(`container ${name} is left out: ${errorMessage(error)}`);
      }
    }
    // Oldest first: `list` counts on the order of insertion between containers of the same moment.
    loaded.sort((a, b) => a.createdAtMs - b.createdAtMs);
    const running = findLxcStarts(containersPath);
    const holders = Holder.find();
    for (const container of loaded) {
      this.#containers.set(container.id, container);
      const holder = holders.get(container.root);
      try {
        await this.#restoreOne(container, running.get(container.id), holder);
      } catch (error) {
        log(`container ${container.id}: ${errorMessage(error)}`);
        await container
          .giveUp()
          .catch((problem: unknown) => log(`container ${container.id}: ${errorMessage(problem)}`));
      }
    }
  }

  async #restoreOne(
    container: Container,
    process: { pid: number; startTicks: number } | undefined,
    holder: Holder | undefined,
  ): Promise<void> {
    if (process !== undefined) return container.adopt(process, holder);
    if (container.state.isRunning || holder !== undefined) return container.conclude(holder);
    if (await container.filesystem.isMounted()) await container.filesystem.umount();
  }
}
