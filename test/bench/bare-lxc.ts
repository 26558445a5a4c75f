// The plain tools to compare a run with: mount, lxc-start and umount, by bare-lxc.sh, with the very configuration that the
// daemon wrote for a container of its own, but for the place of the root and the name of the veth.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestDaemon } from '../harness.js';

/** Shell scripts stay where the sources are. */
const SCRIPT = fileURLToPath(new URL('../../../test/bench/bare-lxc.sh', import.meta.url));
/** As long as an id of ours, since it is a part of an interface's name. */
const ID = 'benchrun';

/**
 * Makes ready to run what the stopped container `id` is, and returns what runs it once: how long that took, in
 * milliseconds. Its folder is inside of the daemon's data directory, and goes with that.
 */
export function bareLxc(daemon: TestDaemon, id: string): () => Promise<number> {
  const folder = join(daemon.directory, 'bare');
  for (const name of ['rootfs', 'rw', 'work']) mkdirSync(join(folder, name), { recursive: true });
  const container = join(daemon.directory, 'containers', id);
  const config = readFileSync(join(container, 'config.lxc'), 'utf8')
    .replaceAll(join(container, 'rootfs'), join(folder, 'rootfs'))
    .replaceAll(`veth${id}`, `veth${ID}`);
  writeFileSync(join(folder, 'config'), config);
  const layers = join(daemon.directory, 'images/layers');
  const layer = readdirSync(layers).find((name) => /^[0-9a-f]{16}$/.test(name)) ?? '';
  const args = [folder, join(layers, layer), ID];
  return async () => Number((await promisify(execFile)(SCRIPT, args)).stdout) / 1000;
}
