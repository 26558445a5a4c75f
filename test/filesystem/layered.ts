// Layers and a container's folder for tests, on each driver that works everywhere.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { importLayer } from '../../src/archive/import-layer.js';
import { Filesystem } from '../../src/filesystem/filesystem.js';
import type { MountDriver } from '../../src/filesystem/mount-driver.js';
import { overlay } from '../../src/filesystem/overlay.js';
import { vfs } from '../../src/filesystem/vfs.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** aufs needs a kernel that has it. */
export const TESTED_DRIVERS: readonly MountDriver[] = [overlay, vfs];

/** Makes layers and file systems in a folder of its own, which goes away after the test with what is mounted in it. */
export class Layered {
  readonly folder: string;
  #count = 0;

  constructor(t: TestContext) {
    this.folder = temporaryFolder(t);
    mkdirSync(join(this.folder, 'layers'));
  }

  /** A new layer, filled by `fill`. */
  layer(fill: (path: string) => void): string {
    const path = join(this.folder, 'layers', `layer-${this.#count++}`);
    mkdirSync(path);
    fill(path);
    return path;
  }

  /** A new layer from an archive. */
  async importLayer(archive: Readable): Promise<{ path: string; digest: string }> {
    const path = this.layer(() => undefined);
    const { digest } = await importLayer(archive, path);
    const named = join(this.folder, 'layers', digest.slice(0, 16));
    if (existsSync(named)) rmSync(path, { recursive: true });
    else renameSync(path, named);
    return { path: named, digest };
  }

  /** The file system of a container over these layers, top first. The same name again is the same container. */
  filesystem(driver: MountDriver, layers: readonly string[], name = `container-${this.#count++}`): Filesystem {
    const root = join(this.folder, name);
    mkdirSync(root, { recursive: true });
    const rootfs = join(root, 'rootfs');
    return new Filesystem(rootfs, join(root, 'rw'), layers, driver);
  }
}
