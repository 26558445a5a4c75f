// The file system of one container: its layers, read only, under a folder of its own for what it changes, seen as one
// tree at `rootfs` while it is mounted.
//
// Owns the mount at `rootfs`; the monitor of the container takes it away at the end of a run.
//
// 2013: filesystem.go, Filesystem

import { mkdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isMountPoint, mount, umount } from '../linux/mount.js';
import { hasCode } from '../linux/libc.js';
import { writeFileAtomically } from '../util/atomic-file.js';
import type { GoValue } from '../util/go-json.js';
import { step, timedStep } from '../util/steps.js';
import type { Branches, MountDriver } from './mount-driver.js';

/** The file beside `rw/` that names the driver whose form `rw/` has. Without one it is aufs's: an original wrote it. */
const FORM_FILE = 'rw.driver';

/** See the head of the file. */
export class Filesystem {
  readonly #driver: MountDriver;

  constructor(
    /** where the union appears */
    readonly rootfs: string,
    /** what the container changed */
    readonly rwPath: string,
    /** absolute paths of the layers, top first */
    readonly layers: readonly string[],
    driver: MountDriver,
  ) {
    this.#driver = driver;
  }

  get #branches(): Branches {
    return { rootfs: this.rootfs, rw: this.rwPath, work: join(dirname(this.rwPath), 'work'), layers: this.layers };
  }

  /** Makes the folders that a mount needs. Those that exist stay as they are. */
  async createMountPoints(): Promise<void> {
    const { rootfs, rw, work } = this.#branches;
    for (const folder of this.#driver.needsWork ? [rootfs, rw, work] : [rootfs, rw]) {
      // Not recursive: the container's own folder is there, or it is being removed.
      await mkdir(folder, { mode: 0o755 }).catch((error: unknown) => {
        if (!hasCode(error, 'EEXIST')) throw error;
      });
    }
    const form = join(dirname(rw), FORM_FILE);
    try {
      await readFile(form);
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      await writeFileAtomically(form, `${this.#driver.name}\n`, 0o644);
    }
  }

  /** Mounts the union. Rejects where it is mounted already, and with the arguments of mount(2) where that fails. */
  async mount(): Promise<void> {
    if (await this.isMounted()) throw new Error('Mount: Filesystem already mounted');
    await this.createMountPoints();
    const call = this.#driver.mountCall(this.#branches);
    await timedStep(
      'mount',
      'filesystem.go, Filesystem.Mount',
      () => ({ ...call }),
      () => mount(call),
    );
  }

  /** Mounts the union unless it is mounted. */
  async ensureMounted(): Promise<void> {
    if (!(await this.isMounted())) await this.mount();
  }

  /** Takes the union away. Where something still uses it, it is taken from sight and goes when the last user ends. */
  async umount(): Promise<void> {
    if (!(await this.isMounted())) throw new Error('Umount: Filesystem not mounted');
    try {
      await timedStep(
        'umount',
        'filesystem.go, Filesystem.Umount',
        () => ({ target: this.rootfs }),
        () => umount(this.rootfs),
      );
    } catch (error) {
      if (!hasCode(error, 'EBUSY')) throw error;
      await umount(this.rootfs, true);
      step('umount', 'filesystem.go, Filesystem.Umount', () => ({ target: this.rootfs, lazy: true }));
    }
  }

  /** Whether the union is mounted now. */
  isMounted(): Promise<boolean> {
    return isMountPoint(this.rootfs);
  }

  /** As in config.json. */
  toJSON(): GoValue {
    return { RootFS: this.rootfs, RWPath: this.rwPath, Layers: this.layers };
  }

  /** The ids of the layers, top first. */
  get layerIds(): string[] {
    return this.layers.map((layer) => basename(layer));
  }
}
