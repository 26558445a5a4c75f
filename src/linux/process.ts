// Processes by pidfd: a handle that stays on its process when the pid is used again.
//
// 2013: container.go, Container.kill (through os.Process) and Container.Stop (through the lxc-kill program)

import { closeSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { bind, hasCode } from './libc.js';

// The same numbers on every architecture: these calls are newer than the common table.
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
/** In the kernel's flags of a process: it is on its way out. */
const PF_EXITING = 4;
/** What the kernel counts in where programs read it (USER_HZ): the same on every architecture that node runs on. */
const TICKS_PER_SECOND = 100;

const syscall4 = bind('long syscall(long number, long a, long b, void *c, long d)');

/** A signal by name, as `SIGTERM`. */
export type SignalName = NodeJS.Signals;

/** Opens a handle on the process `pid`. The caller closes it. Throws SyscallError, ESRCH where there is none. */
export function pidfdOpen(pid: number): number {
  return syscall4({ path: `process ${pid}`, flags: 'pidfd_open' }, SYS_PIDFD_OPEN, pid, 0, null, 0);
}

/** Sends a signal through a handle. False where the process has ended. */
export function pidfdSendSignal(pidfd: number, signal: SignalName): boolean {
  try {
    syscall4(
      { flags: `pidfd_send_signal ${signal}` },
      SYS_PIDFD_SEND_SIGNAL,
      pidfd,
      constants.signals[signal],
      null,
      0,
    );
    return true;
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}

/** Copies descriptor `fd` of another process into ours (close-on-exec). The caller closes it. */
export function pidfdGetfd(pidfd: number, fd: number): number {
  return syscall4({ path: `descriptor ${fd}`, flags: 'pidfd_getfd' }, SYS_PIDFD_GETFD, pidfd, fd, null, 0);
}

/** When the process started, in clock ticks since boot; with the pid it names a process for good. Undefined where there is none. */
export function processStartTicks(pid: number): number | undefined {
  const ticks = processStat(pid)?.[19];
  return ticks === undefined ? undefined : Number(ticks);
}

/** That moment, of a process that started so many ticks after boot, in milliseconds since 1970. */
export function startedAtMs(startTicks: number): number {
  const [uptime = ''] = readFileSync('/proc/uptime', 'latin1').split(' ');
  return Date.now() - Number(uptime) * 1000 + (startTicks * 1000) / TICKS_PER_SECOND;
}

/** Whether the process is there and has not begun to end. */
export function isProcessAlive(pid: number): boolean {
  const flags = processStat(pid)?.[6];
  return flags !== undefined && (Number(flags) & PF_EXITING) === 0;
}

/** The plain fields of /proc/PID/stat; undefined where there is no such process. */
function processStat(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program is in parentheses and may hold anything; the fields after it are plain.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

/** The direct children of the process, oldest first; none where it has ended. */
export function processChildren(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean).map(Number);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return [];
    throw error;
  }
}

/** The command line of the process; empty where it has ended. */
export function processArguments(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return [];
    throw error;
  }
}

/** Whether the process `pid` is in the network namespace of this one. False where it has ended. */
export function hasNetworkOf(pid: number): boolean {
  return sharesNamespace(pid, 'net');
}

/**
 * Whether a daemon of this user can have started the process: a program in a container, or of another user, that has the
 * command line of lxc-start or of a holder is neither. False where it has ended.
 */
export function canBeOfDaemon(pid: number): boolean {
  const stat = statSync(`/proc/${pid}`, { throwIfNoEntry: false });
  return stat !== undefined && stat.uid === process.geteuid?.() && sharesNamespace(pid, 'pid');
}

function sharesNamespace(pid: number, kind: 'net' | 'pid'): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`) === readlinkSync(`/proc/self/ns/${kind}`);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return false;
    throw error;
  }
}

/** Runs `body` with a handle on `pid`, and closes the handle. Undefined where the process has ended. */
export function withPidfd<T>(pid: number, body: (pidfd: number) => T): T | undefined {
  let pidfd;
  try {
    pidfd = pidfdOpen(pid);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return undefined;
    throw error;
  }
  try {
    return body(pidfd);
  } finally {
    closeSync(pidfd);
  }
}
