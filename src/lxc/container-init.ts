// The first process of a container, seen from outside: the only child of its lxc-start.
//
// To end a container, this process is signalled, never lxc-start: a killed lxc-start logs no status and leaves cgroups
// behind.
//
// 2013: container.go, Container.Stop (lxc-kill) and Container.kill

import { readlinkSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode } from '../linux/libc.js';
import { pidfdSendSignal, processChildren, withPidfd, type SignalName } from '../linux/process.js';

const POLL_MS = 2;

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

/** Sends a signal to the container's first process. False where there is none. */
export function signalContainer(lxcStartPid: number, signal: SignalName): boolean {
  const init = containerInit(lxcStartPid);
  if (init === undefined) return false;
  // The handle is taken before the check that it is still the child: a pid that was used again cannot pass.
  return withPidfd(init, (pidfd) => containerInit(lxcStartPid) === init && pidfdSendSignal(pidfd, signal)) ?? false;
}

function executable(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}
