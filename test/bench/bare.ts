// The plain tools to compare a run with: mount, lxc-start and umount (bare-lxc.sh), with the very configuration that the daemon
// wrote for a container of its own, but for names and places; and the same with runc (bare-runc.sh), where it is installed.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestDaemon } from '../harness.js';
import { isInstalled } from './peer.js';

/** Shell scripts stay where the sources are. */
const SCRIPTS = fileURLToPath(new URL('../../../test/bench/', import.meta.url));

/**
 * Makes ready to run what the stopped container `id` is, `count` times at once, and returns what does it: how long that took,
 * in milliseconds. The folders are inside of the daemon's data directory, and go with that.
 */
export function bareLxc(daemon: TestDaemon, id: string, count = 1): () => Promise<number> {
  const folder = join(daemon.directory, `bare-${count}`);
  const container = join(daemon.directory, 'containers', id);
  const config = readFileSync(join(container, 'config.lxc'), 'utf8');
  // As long as an id of ours, since it is a part of an interface's name.
  const names = Array.from({ length: count }, (_, at) => `bench${String(at).padStart(3, '0')}`);
  for (const name of names) {
    const own = join(folder, name);
    for (const part of ['rootfs', 'rw', 'work']) mkdirSync(join(own, part), { recursive: true });
    const changed = config
      .replaceAll(join(container, 'rootfs'), join(own, 'rootfs'))
      .replaceAll(`veth${id}`, `veth${name}`);
    writeFileSync(join(own, 'config'), changed);
  }
  return () => runScript('bare-lxc.sh', [folder, layerOf(daemon), ...names]);
}

/** The same with runc, on the same layer and without a network; undefined where it is not installed. */
export function bareRunc(daemon: TestDaemon): (() => Promise<number>) | undefined {
  if (!isInstalled('runc')) return undefined;
  const folder = join(daemon.directory, 'bare-runc');
  for (const name of ['rootfs', 'rw', 'work']) mkdirSync(join(folder, name), { recursive: true });
  execFileSync('runc', ['spec'], { cwd: folder });
  const path = join(folder, 'config.json');
  const spec = JSON.parse(readFileSync(path, 'utf8')) as { process: object; root: object; linux: object }; // of runc's own
  Object.assign(spec.process, { terminal: false, args: ['/bin/true'] });
  Object.assign(spec.root, { readonly: false });
  writeFileSync(path, JSON.stringify(spec));
  let run = 0;
  return () => runScript('bare-runc.sh', [folder, layerOf(daemon), `tsdock-bench-${process.pid}-${run++}`]);
}

/** What it prints are microseconds. */
async function runScript(script: string, args: readonly string[]): Promise<number> {
  return Number((await promisify(execFile)(join(SCRIPTS, script), [...args])).stdout) / 1000;
}

function layerOf(daemon: TestDaemon): string {
  const layers = join(daemon.directory, 'images/layers');
  return join(layers, readdirSync(layers).find((name) => /^[0-9a-f]{16}$/.test(name)) ?? '');
}
