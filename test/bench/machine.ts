// What the benchmark runs on and with, in words.

import { execFileSync } from 'node:child_process';
import { cpus, loadavg, release, totalmem } from 'node:os';

/** Date, processors, memory, kernel, and how busy it is. */
export function machine(): string {
  const date = new Date().toISOString().slice(0, 10);
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const busy = `load ${(loadavg()[0] ?? 0).toFixed(1)}`;
  return `${date}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${memory}, Linux ${release()}, ${busy}`;
}

/** What is always there. */
export function toolVersions(): string[] {
  const tar = versionOf('tar');
  return [`Node ${process.versions.node}`, `LXC ${versionOf('lxc-start')}`, tar.replace(/^tar \(GNU tar\)/, 'GNU tar')];
}

function versionOf(program: string): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.trim() ?? '';
}
