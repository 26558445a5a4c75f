// The beginning of a run: mount, look the program up, make the streams, write config.lxc, spawn lxc-start. Where a step fails
// those before it are undone, in the opposite order.
//
// Nothing here waits for the disk: what must outlive a power cut `Container.save` sees to, while LXC is at work.
//
// 2013: container.go, Container.Start, start and startPty

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkFilesForStart, onceFilesAreLeft } from '../linux/open-files.js';
import { createWithRoom } from '../linux/preallocate.js';
import type { WindowSize } from '../linux/pty.js';
import { lxcConfig } from '../lxc/lxc-config.js';
import { spawnLxcStart, type ProcessId } from '../lxc/lxc-start.js';
import type { NetworkInterface } from '../network/network-interface.js';
import { writeFileUnsynced } from '../util/atomic-file.js';
import { errorMessage } from '../util/errors.js';
import { step } from '../util/steps.js';
import { keepNetwork, prepareNetwork } from './networking.js';
import { lookUpProgram, SEARCH_PATH } from './program.js';
import { endAtOnce, releaseNetwork, umountIfMounted } from './run-end.js';
import { LXC_LOG_ROOM_BYTES, lxcLogPath, streamSettings, type RunSubject } from './run-subject.js';
import type { Runtime } from './runtime.js';
import { forgetSignal } from './sent-signal.js';
import { Stdio } from './stdio.js';
import type { User } from './user.js';

const LXC_LOG_MODE = 0o640;

/** A run whose lxc-start is a process. */
export interface BegunRun {
  process: ProcessId;
  stdio: Stdio;
}

/**
 * Begins a run with what it was given of the bridge, which belongs to the run from here on. Resolves once lxc-start is a
 * process; with undefined where there is no such program, which then is on record as a run that has ended. Rejects,
 * with everything undone, where the run could not begin.
 */
export async function beginRun(
  subject: RunSubject,
  runtime: Runtime,
  network: NetworkInterface | undefined,
  window: WindowSize | undefined,
): Promise<BegunRun | undefined> {
  const { filesystem, logs, state, config } = subject;
  subject.network = network;
  const undo: (() => Promise<void> | void)[] = [() => releaseNetwork(subject, runtime)];
  try {
    checkFilesForStart();
    // 1. The tree that the program will see.
    // Before: where the tree is mounted and cannot be looked at, the run has failed, and nobody else umounts it.
    undo.push(() => onceFilesAreLeft(() => umountIfMounted(filesystem)));
    await filesystem.beginRun();
    // 2. The logs, before anything can be printed.
    logs.open();
    undo.push(() => logs.close());
    const found = await lookUpProgram(filesystem, config.user, subject.path);
    if (!('user' in found)) {
      await endAtOnce(subject, runtime, found.complaint, found.exitCode);
      return undefined;
    }
    // 3. The streams. The end of an earlier run goes before they come: where a daemon was killed, streams and no log say
    // that a run has not begun.
    if (config.hasTty && runtime.lxc.init === undefined) {
      throw new Error('Cannot start with a terminal: init.lxc.static, a part of LXC, is not installed');
    }
    rmSync(lxcLogPath(subject), { force: true });
    forgetSignal(subject.root);
    const stdio = Stdio.create(streamSettings(subject, runtime));
    undo.push(() => stdio.end());
    if (window !== undefined) stdio.resize(window);
    // 4. What LXC is to do, and LXC. Once it runs nothing is undone: the monitor does it at the end.
    // The holder is there before: what the program prints would be lost where both it and this daemon end at once.
    const [configPath] = await Promise.all([
      writeConfig(subject, runtime, stdio.terminalPath, found.user),
      stdio.hold(),
    ]);
    const process = await spawnLxc(subject, runtime, stdio, configPath);
    undo.length = 0;
    state.setRunning(process);
    return { process, stdio };
  } catch (error) {
    for (const undoStep of undo.reverse()) {
      try {
        await undoStep();
      } catch (problem) {
        runtime.log(`container ${subject.id}: ${errorMessage(problem)}`); // the caller is told the first error
      }
    }
    throw error;
  }
}

/** Writes config.lxc, and resolves with its path. */
async function writeConfig(
  subject: RunSubject,
  runtime: Runtime,
  terminalPath: string | undefined,
  user: User,
): Promise<string> {
  const { root, filesystem, config } = subject;
  const { hostname, ramBytes: memoryLimitBytes, hasTty, term } = config;
  const environment = ['HOME=/', `PATH=${SEARCH_PATH.join(':')}`, ...(hasTty ? [`TERM=${term}`] : [])];
  const { rootfs } = filesystem;
  const { network, files } = await prepareNetwork(subject, runtime);
  const settings = { hostname, rootfs, environment, memoryLimitBytes, terminalPath, user, network, files };
  const text = lxcConfig(settings, runtime.lxc);
  const configPath = join(root, 'config.lxc');
  writeFileUnsynced(configPath, text, 0o644);
  step('config', 'container.go, Container.generateLXCConfig', () => ({ configPath }));
  keepNetwork(root, subject.network);
  return configPath;
}

async function spawnLxc(subject: RunSubject, runtime: Runtime, stdio: Stdio, configPath: string): Promise<ProcessId> {
  const { id, path, args, config } = subject;
  createWithRoom(lxcLogPath(subject), LXC_LOG_ROOM_BYTES, LXC_LOG_MODE);
  const process = await spawnLxcStart({
    id,
    lxcPath: runtime.containersPath,
    configPath,
    logPath: lxcLogPath(subject),
    underInit: config.hasTty,
    command: [path, ...args],
    stdio: stdio.forLxc,
  });
  stdio.closeForLxc();
  return process;
}
