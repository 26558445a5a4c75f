// The file system of one container: its layers, read only, under a folder of its own for what it changes, seen as one
// tree at `rootfs` while it is mounted.
//
// Owns the mount at `rootfs`; the monitor of the container takes it away at the end of a run. What mounts, unmounts or
// reads rw is done one after the other.
//
// 2013: filesystem.go, Filesystem

import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { packTree } from '../archive/pack-tree.js';
import { removeTree } from '../linux/remove-tree.js';
import { removeTemporaries, renameDurably, temporaryName } from '../util/atomic-file.js';
import type { GoValue } from '../util/go-json.js';
import { timedStep } from '../util/steps.js';
import { listChanges, type Change } from './changes.js';
import { driverNamed } from './drivers.js';
import { Inside } from './inside.js';
import { checkLayers } from './layer-paths.js';
import { isThere, mkdirUnlessThere } from './folders.js';
import type { Branches, MountDriver } from './mount-driver.js';
import { ownMountPoints } from './own-mount-points.js';
import { lookAtRoot, restoreRootTime, type RootLook } from './root-time.js';
import { createRw, layOutRw, readRwDriver, removeUnfinishedRw, replaceRw, writeRwDriver } from './rw.js';
import { TreeArchives } from './tree-archives.js';
import { runTreeJob } from './tree-job.js';

const FOLDER_MODE = 0o755;

/** See the head of the file. */
export class Filesystem {
  /** the driver that mounts; rw may still have the form of another one */
  readonly #driver: MountDriver;
  /** a line for the daemon's log: what no caller is there to be told */
  readonly #log: (line: string) => void;
  /** the driver whose form rw has, once that is known */
  #rwDriver: MountDriver | undefined;
  /** the root before the run that is under way */
  #rootBefore: RootLook | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #isGone = false;
  /** of the whole tree, that are still being read */
  readonly #archives = new TreeArchives();

  constructor(
    /** where the union appears */
    readonly rootfs: string,
    /** what the container changed */
    readonly rwPath: string,
    /** absolute paths of the layers, top first */
    readonly layers: readonly string[],
    driver: MountDriver,
    log: (line: string) => void = () => undefined,
  ) {
    this.#driver = driver;
    this.#log = log;
  }

  /** Makes what a mount needs in the folder of a new container, which has another name as yet. Nothing is synced. */
  layOut(folder: string): void {
    mkdirSync(join(folder, basename(this.rootfs)), { mode: FOLDER_MODE });
    layOutRw(join(folder, basename(this.rwPath)), this.#driver.name, this.layers[0]);
    this.#rwDriver = this.#driver;
  }

  /** Takes away what a killed daemon left half-made around rw. To be called before anything else. */
  recover(): Promise<void> {
    return this.#exclusive(async () => {
      await removeTemporaries(dirname(this.rwPath), removeTree);
      await (await this.#driverOfRw()).removeUnfinished(this.#branches);
      await removeUnfinishedRw(this.rwPath);
    });
  }

  /** Mounts the union. Rejects where it is mounted already, and with what the driver tried where that fails. */
  mount(): Promise<void> {
    return this.#exclusive(async () => {
      if (await this.isMounted()) throw new Error('Mount: Filesystem already mounted');
      await this.#mount();
    });
  }

  /** Mounts the union unless it is mounted. */
  ensureMounted(): Promise<void> {
    return this.#exclusive(async () => {
      if (!(await this.isMounted())) await this.#mount();
    });
  }

  /** Takes the union away. Where something still uses it, it is taken from sight and goes when the last user ends. */
  umount(): Promise<void> {
    return this.#exclusive(async () => {
      if (!(await this.isMounted())) throw new Error('Umount: Filesystem not mounted');
      const driver = await this.#driverOfRw();
      if (!driver.keepsOpenTrees) this.#archives.breakOff(this.rootfs, 'unmounted');
      await driver.umount(this.#branches);
    });
  }

  /** Mounts it for a run: from here on LXC works in it, and then the program. */
  async beginRun(): Promise<void> {
    await this.ensureMounted();
    this.#rootBefore = lookAtRoot(this.rootfs);
  }

  /** Takes the union away after a run, whose program began at that time, in milliseconds since 1970. */
  async endRun(programBeganAtMs: number | undefined): Promise<void> {
    const before = this.#rootBefore;
    this.#rootBefore = undefined;
    try {
      if (before !== undefined && programBeganAtMs !== undefined) {
        await this.#exclusive(async () => {
          if (await this.isMounted()) restoreRootTime(this.rootfs, before, programBeganAtMs);
        });
      }
    } finally {
      await this.umount(); // also where the time of a folder cannot be set
    }
  }

  /** Whether the union is mounted now. */
  async isMounted(): Promise<boolean> {
    return (await this.#driverOfRw()).isMounted(this.#branches);
  }

  /**
   * Does `use` in the tree, mounted where it was not, while nobody else mounts or unmounts it. What `use` opens in it may
   * stay open longer. 2013: Filesystem.OpenFile and ReadDir
   */
  inside<T>(use: (tree: Inside) => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      if (!(await this.isMounted())) await this.#mount();
      const tree = new Inside(this.rootfs);
      try {
        return await use(tree);
      } finally {
        tree.close();
      }
    });
  }

  /** What was changed. 2013: Filesystem.Changes */
  changes(): Promise<Iterable<Change>> {
    return this.#withRw(async (driver) => {
      const { rw, layers } = this.#branches;
      const own = ownMountPoints(rw, layers);
      return listChanges({ rw, form: driver.form, layers }, (path) => own.includes(path));
    });
  }

  /**
   * Hands what was changed to `use`, as the archive of a layer, and waits for that: rw stays as it is meanwhile. The archive
   * fails on a name that would mean a deletion in a layer. 2013: CmdCommit, which packed rw as it was
   */
  commit<T>(use: (archive: Readable) => Promise<T>): Promise<T> {
    return this.#withRw((driver) => {
      const { rw, layers } = this.#branches;
      // DIFFERS D21: the original packed everything in rw, also what aufs and LXC had made there for themselves.
      const skip = ownMountPoints(rw, layers);
      return use(packTree({ root: rw, form: driver.form, skip, refuseWhiteoutNames: true }));
    });
  }

  /**
   * The whole tree as an archive, which the caller reads or destroys. Mounts it, and leaves it so. The archive is whole or
   * fails, also when the tree is unmounted or removed before it has been read. 2013: Filesystem.Tar
   */
  tar(): Promise<Readable> {
    return this.#exclusive(async () => {
      if (!(await this.isMounted())) await this.#mount();
      return this.#archives.begin(this.rootfs, this.#branches.layers);
    });
  }

  /** Takes back what was changed, and the mount as well. 2013: Filesystem.Reset */
  reset(): Promise<void> {
    return this.#exclusive(async () => {
      this.#archives.breakOff(this.rootfs, 'reset');
      if (await this.isMounted()) await (await this.#driverOfRw()).discard(this.#branches);
      await this.#driverOfRw(); // a new rw may lie beside, and wait to be put in place
      if (isThere(this.rwPath)) {
        // At once, and without taking room: on a full disk this is what makes some.
        const old = join(dirname(this.rwPath), temporaryName(basename(this.rwPath)));
        await renameDurably(this.rwPath, old);
        this.#rwDriver = undefined;
        await removeTree(old);
      }
      await this.#createMountPoints();
    });
  }

  /** Takes the union away for good: the container is being removed, and nothing works from here on. */
  async destroy(): Promise<void> {
    await this.#exclusive(async () => {
      this.#isGone = true;
      this.#archives.breakOff(this.rootfs, 'removed');
      if (await this.isMounted()) await (await this.#driverOfRw()).discard(this.#branches);
    });
  }

  /** The removal has failed: the files can be used again. */
  reinstate(): void {
    this.#isGone = false;
  }

  /** As in config.json. */
  toJSON(): GoValue {
    return { RootFS: this.rootfs, RWPath: this.rwPath, Layers: this.layers };
  }

  /** The ids of the layers, top first. */
  get layerIds(): string[] {
    return this.layers.map((layer) => basename(layer));
  }

  get #branches(): Branches {
    return {
      rootfs: this.rootfs,
      rw: this.rwPath,
      work: join(dirname(this.rwPath), 'work'),
      // A layer that is there twice (a commit without a change) adds nothing further down, and no driver takes it twice.
      layers: [...new Set(this.layers)],
      log: this.#log,
    };
  }

  /** The driver that rw belongs to: the union may be mounted by it still. */
  async #driverOfRw(): Promise<MountDriver> {
    if (this.#rwDriver !== undefined) return this.#rwDriver;
    const name = await readRwDriver(this.rwPath);
    const driver = name === this.#driver.name ? this.#driver : driverNamed(name);
    this.#rwDriver ??= driver;
    return this.#rwDriver;
  }

  async #mount(): Promise<void> {
    checkLayers(this.layers);
    await this.#createMountPoints();
    await this.#convertRw();
    await this.#driver.mount(this.#branches);
  }

  /** Does `use` with a rw that is up to date, and that nobody else touches but the container itself. */
  #withRw<T>(use: (driver: MountDriver) => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      checkLayers(this.layers);
      await this.#createMountPoints();
      const driver = await this.#driverOfRw();
      if (driver.isMounted(this.#branches)) await driver.sync(this.#branches);
      return use(driver);
    });
  }

  /** Makes the folders that a mount needs. Those that exist stay as they are. 2013: Filesystem.createMountPoints */
  async #createMountPoints(): Promise<void> {
    await this.#driverOfRw(); // a new rw may lie beside, and wait to be put in place
    mkdirUnlessThere(this.rootfs, FOLDER_MODE);
    if (isThere(this.rwPath)) return;
    await createRw(this.rwPath, this.#driver.name, this.layers[0]);
    this.#rwDriver = this.#driver;
  }

  /** Puts rw into the form of this daemon's driver. Not mounted. */
  async #convertRw(): Promise<void> {
    const before = await this.#driverOfRw();
    if (before === this.#driver) return;
    const rw = this.rwPath;
    const [from, to] = [before.form, this.#driver.form];
    const convert = (target: string): Promise<void> => runTreeJob({ job: 'convert', rw, from, to, target });
    if (from === to) {
      await writeRwDriver(rw, this.#driver.name);
      this.#rwDriver = this.#driver;
      return;
    }
    await timedStep(
      'convert',
      'filesystem.go, Filesystem.Mount',
      () => ({ rw, from: before.name, to: this.#driver.name }),
      () => this.#replaceRw(convert),
    );
  }

  /** Replaces rw by one in the form of this daemon's driver. Where that breaks off, what is on disk tells whose form it has. */
  async #replaceRw(build: (next: string) => Promise<void>): Promise<void> {
    this.#rwDriver = undefined;
    await replaceRw(this.rwPath, this.#driver.name, build);
    this.#rwDriver = this.#driver;
  }

  /** One thing after the other. */
  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#queue.then(() => {
      if (this.#isGone) throw new Error(`Cannot use ${this.rootfs}: its container is removed`);
      return work();
    });
    this.#queue = done.catch(() => undefined); // whoever asked for it is told
    return done;
  }
}
