// Spawning lxc-start, and finding those that an earlier daemon spawned.
//
// lxc-start is in a session of its own and gets its own file descriptions, so it lives on when the daemon ends. It is
// found again by its command line: `-P` is the folder of this daemon's containers, `-n` the container's id.
//
// 2013: container.go, Container.start and startPty

import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { canBeOfDaemon, processArguments, processStartTicks } from '../linux/process.js';
import { hasCode } from '../linux/libc.js';
import { onceFilesAreLeft } from '../linux/open-files.js';
import { spawnProgram } from '../linux/spawn.js';
import { errorMessage } from '../util/errors.js';
import { step } from '../util/steps.js';
import { INIT_INSIDE } from './lxc-config.js';

/** What lxc-start is told. */
export interface LxcStart {
  id: string;
  /** the folder of all containers, absolute: LXC's own path, so that ids never meet those of another LXC user */
  lxcPath: string;
  configPath: string;
  logPath: string;
  /** under LXC's own init, which makes the console a controlling terminal */
  underInit: boolean;
  /** the program and its arguments */
  command: readonly string[];
  /** descriptors for standard input, output and error */
  stdio: readonly number[];
}

/** A process by pid and start time. */
export interface ProcessId {
  pid: number;
  /** clock ticks since boot */
  startTicks: number;
}

const NOT_INSTALLED = 'lxc-start is not installed: install the package lxc (on Debian: apt-get install lxc)';

/** The version that `lxc-start --version` prints. Rejects with one helpful sentence where there is none. */
export async function lxcVersion(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('lxc-start', ['--version'], { timeout: 10_000 });
    return stdout.trim();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw new Error('Cannot run lxc-start --version', { cause: error });
    throw new Error(NOT_INSTALLED);
  }
}

/** The arguments of lxc-start, in its order. DEBUG is the level that tells when the program ended, also with status 0. */
export function lxcStartArguments({ id, lxcPath, configPath, logPath, underInit, command }: LxcStart): string[] {
  const init = underInit ? [INIT_INSIDE, '-q', '-n', id, '--'] : [];
  // -F: do not become a daemon. -C: hand no other descriptor on to the program.
  const options = ['-F', '-C', '-n', id, '-P', lxcPath, '-f', configPath, '-l', 'DEBUG', '-o', logPath];
  return [...options, '--', ...init, ...command];
}

/** Spawns lxc-start. Resolves once it is a process; rejects where it cannot be one. */
export async function spawnLxcStart(start: LxcStart): Promise<ProcessId> {
  const args = lxcStartArguments(start);
  const pid = await trySpawn(['lxc-start', ...args], start.stdio);
  // It cannot have been reaped yet, so it has an entry, whatever has become of it. It must not run on unknown.
  const startTicks = await onceFilesAreLeft(() => processStartTicks(pid));
  if (startTicks === undefined) throw new Error('Cannot spawn lxc-start: it ended at once');
  step('lxc-start', 'container.go, Container.start', () => ({ pid, args }));
  return { pid, startTicks };
}

async function trySpawn(args: readonly string[], stdio: readonly number[]): Promise<number> {
  try {
    return await spawnProgram({ args, stdio, env: searchPath() });
  } catch (cause) {
    const why = hasCode(cause, 'ENOENT') ? NOT_INSTALLED : errorMessage(cause);
    throw new Error(`Cannot spawn lxc-start: ${why}`, { cause });
  }
}

/** All lxc-start processes of the containers under `lxcPath`, by container id. */
export function findLxcStarts(lxcPath: string): Map<string, ProcessId> {
  const found = new Map<string, ProcessId>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const pid = Number(name);
    const named = containerIdOf(processArguments(pid), lxcPath);
    const id = named !== undefined && canBeOfDaemon(pid) ? named : undefined;
    const startTicks = id === undefined ? undefined : processStartTicks(pid);
    // The monitor forks the container's first process, which carries the same command line until it becomes the program:
    // the older of two is the monitor.
    const known = id === undefined ? undefined : found.get(id);
    if (id === undefined || startTicks === undefined) continue;
    if (known === undefined || startTicks < known.startTicks || (startTicks === known.startTicks && pid < known.pid)) {
      found.set(id, { pid, startTicks });
    }
  }
  return found;
}

function containerIdOf(args: string[], lxcPath: string): string | undefined {
  if (args[0] !== 'lxc-start' || args[args.indexOf('-P') + 1] !== lxcPath) return undefined;
  return args[args.indexOf('-n') + 1];
}

/** lxc-start itself needs no more than to find its helpers; the program gets the environment of the configuration. */
function searchPath(): { PATH: string } {
  return { PATH: process.env['PATH'] ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };
}
