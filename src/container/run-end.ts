// The end of a run: status, streams, unmount, network, state, save. Also of one that ended while no daemon ran, and of one
// that had no program to run.
//
// 2013: container.go, Container.monitor, cleanup and releaseNetwork

import { existsSync, statSync } from 'node:fs';
import type { Filesystem } from '../filesystem/filesystem.js';
import { giveRoomBack } from '../linux/preallocate.js';
import { removeCgroups } from '../lxc/cgroups.js';
import { asSignalled, lxcLogTime, readLxcExit, readProgramStart, type LxcExit } from '../lxc/lxc-log.js';
import { errorMessage } from '../util/errors.js';
import { goLogTime } from '../util/go-time.js';
import { step } from '../util/steps.js';
import { thawLeftover } from './freezing.js';
import type { Holder } from './holder.js';
import { STDERR, STDOUT } from './log-records.js';
import { giveBack, removeLeftInterface } from './networking.js';
import { LXC_LOG_ROOM_BYTES, lxcLogPath, streamSettings, type RunSubject } from './run-subject.js';
import type { Runtime } from './runtime.js';
import { forgetSignal, keptSignal } from './sent-signal.js';
import { removeFifos, Stdio } from './stdio.js';

/** The end of a run, in the order of 2013's Container.monitor: status, streams, unmount, state, save. */
export async function conclude(
  subject: RunSubject,
  runtime: Runtime,
  stdio: Stdio,
  exit: LxcExit,
  finishedAtMs: number,
): Promise<void> {
  step('exit', 'container.go, Container.monitor', () => ({ id: subject.id, ...exit }));
  if (exit.failure !== undefined) runtime.log(`container ${subject.id}: ${exit.failure}`);
  await stdio.end().catch((error: unknown) => runtime.log(`container ${subject.id}: ${errorMessage(error)}`));
  await finish(subject, runtime, exit, finishedAtMs, readProgramStart(lxcLogPath(subject)));
}

/** Ends a run that ended while no daemon ran: its last output is still in its streams, its status in LXC's log. */
export async function concludeMeanwhile(subject: RunSubject, runtime: Runtime, holder?: Holder): Promise<void> {
  const { id, root, state, logs, config } = subject;
  // What has outlived its lxc-start would print on while its container is put on record as ended.
  await removeCgroups(id);
  const log = lxcLogPath(subject);
  const hasBegun = (statSync(log, { throwIfNoEntry: false })?.size ?? 0) > 0;
  if (!state.isRunning && !hasBegun) return withdraw(subject, holder);
  const finishedAtMs = lxcLogTime(log);
  // The daemon was killed before it had saved.
  if (!state.isRunning) state.setRunning(undefined, readProgramStart(log) ?? finishedAtMs);
  logs.open();
  const stdio = Stdio.adopt(streamSettings(subject, runtime), holder);
  thawLeftover({ id, root, pid: undefined });
  await removeLeftInterface(id, runtime);
  const exit = asSignalled(readLxcExit(log), keptSignal(root), config.hasTty);
  await conclude(subject, runtime, stdio, exit, finishedAtMs);
}

/** A run of a program that cannot be run: it begins and ends at once, and says why where its errors go. */
export async function endAtOnce(
  subject: RunSubject,
  runtime: Runtime,
  complaint: string,
  exitCode: number,
): Promise<void> {
  const { state, logs, config } = subject;
  state.setRunning(undefined);
  const line = `${goLogTime(new Date())} ${complaint}`;
  try {
    if (config.hasTty) logs.append(STDOUT, `${line}\r\n`);
    else logs.append(STDERR, `${line}\n`);
  } catch (error) {
    logs.giveUp(error); // who reads it is told; the run ends all the same, or it would be on record as running for good
  }
  await finish(subject, runtime, { exitCode, signal: undefined }, Date.now());
}

/** Takes the union away, where it is there. */
export async function umountIfMounted(filesystem: Filesystem): Promise<void> {
  if (await filesystem.isMounted()) await filesystem.umount();
}

/** Gives back what the run had of the bridge. Never rejects: the daemon's log is told. 2013: container.go, Container.releaseNetwork */
export async function releaseNetwork(subject: RunSubject, runtime: Runtime): Promise<void> {
  const { id, network } = subject;
  subject.network = undefined;
  if (network === undefined) return;
  try {
    await giveBack(id, network, runtime);
  } catch (error) {
    runtime.log(`container ${id}: ${errorMessage(error)}`); // the run is over all the same
  }
}

async function finish(
  subject: RunSubject,
  runtime: Runtime,
  exit: Pick<LxcExit, 'exitCode' | 'signal'>,
  finishedAtMs: number,
  programBeganAtMs?: number,
): Promise<void> {
  try {
    await subject.filesystem.endRun(programBeganAtMs);
  } catch (error) {
    runtime.log(`container ${subject.id}: ${errorMessage(error)}`); // the run is over all the same
  }
  await releaseNetwork(subject, runtime); // before anybody hears of the end, and wants the port
  // The state first: who reads the logs to their end then finds the status.
  subject.state.setStopped(exit, finishedAtMs);
  subject.logs.close();
  await subject.saveInTheEnd();
  forgetSignal(subject.root);
  if (existsSync(lxcLogPath(subject))) giveRoomBack(lxcLogPath(subject), LXC_LOG_ROOM_BYTES);
}

/** A run that a killed daemon had only prepared: nothing of it has happened. */
async function withdraw({ root, filesystem }: RunSubject, holder: Holder | undefined): Promise<void> {
  holder?.release();
  removeFifos(root);
  await umountIfMounted(filesystem);
}
