// The first process of a container, seen from outside: the only child of its lxc-start.
//
// To end a container, this process is signalled, never lxc-start: a killed lxc-start logs no status and leaves cgroups
// behind.
//
// 2013: container.go, Container.Stop (lxc-kill) and Container.kill

import { readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../linux/libc.js';
import type { Poller } from '../linux/poller.js';
import { processExit } from '../linux/process-exit.js';
import { pidfdSendSignal, processChildren, withPidfd, type SignalName } from '../linux/process.js';

const POLL_MS = 2;
/** How long LXC may take until its init runs. */
const INIT_TIMEOUT_MS = 10_000;
/** The program's pid inside, under init. */
const PROGRAM_PID = 2;

/** The pid of the container's first process. Undefined where it is not there yet, or not any more. */
export function containerInit(lxcStartPid: number): number | undefined {
  return processChildren(lxcStartPid)[0];
}

/**
 * Waits until the program runs (the forked lxc-start has become it), at most `timeoutMs`. False where it does not: then
 * the container has ended, or LXC is stuck. A signal before this moment would meet lxc-start's own handlers.
 */
export async function waitForProgram(lxcStartPid: number, timeoutMs: number): Promise<boolean> {
  const lxcStart = executable(lxcStartPid);
  const deadline = performance.now() + timeoutMs;
  while (lxcStart !== undefined && executable(lxcStartPid) === lxcStart && performance.now() < deadline) {
    const init = containerInit(lxcStartPid);
    const running = init === undefined ? undefined : executable(init);
    if (running !== undefined && running !== lxcStart) return true;
    await sleep(POLL_MS);
  }
  return false;
}

/**
 * Under LXC's own init the program is process 2, and init waits for whatever the program leaves in the background. Here,
 * as without init, the end of the program is the end of the container: what it left is killed, and init then ends with the
 * program's status.
 */
export async function endWithProgram(poller: Poller, lxcStartPid: number): Promise<void> {
  await waitForProgram(lxcStartPid, INIT_TIMEOUT_MS);
  for (let init = containerInit(lxcStartPid); init !== undefined; init = containerInit(lxcStartPid)) {
    const children = processChildren(init);
    const program = children.find(isProgram);
    if (program !== undefined) await processExit(poller, program);
    else for (const pid of children) signalChild(init, pid, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

/**
 * Sends a signal to the program: the container's first process, or, `underInit`, the one that init started. SIGKILL always
 * goes to the first process, with which all others end. False where there is none.
 */
export function signalContainer(lxcStartPid: number, signal: SignalName, underInit: boolean): boolean {
  const init = containerInit(lxcStartPid);
  if (init === undefined) return false;
  if (!underInit || signal === 'SIGKILL') return signalChild(lxcStartPid, init, signal);
  const program = processChildren(init).find(isProgram);
  return program !== undefined && signalChild(init, program, signal);
}

/** The handle is taken before the check that it is still the child: a pid that was used again cannot pass. */
function signalChild(parent: number, pid: number, signal: SignalName): boolean {
  return withPidfd(pid, (pidfd) => processChildren(parent).includes(pid) && pidfdSendSignal(pidfd, signal)) ?? false;
}

/** Whether it is the process that init started: the second one inside. */
function isProgram(pid: number): boolean {
  return innerPid(pid) === PROGRAM_PID;
}

/** The pid of a process in the innermost namespace that it is in. */
function innerPid(pid: number): number | undefined {
  try {
    const [, pids = ''] = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
    return Number(pids.split(/\s+/).at(-1));
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

function executable(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}
