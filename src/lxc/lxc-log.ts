// What lxc-start's log says of the end of a container. lxc-start itself exits 0 whatever the program returned; the log
// is also there when the exit happened while no daemon ran. It has some 20 KB, and is read at once.

import { readFileSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { hasCode } from '../linux/libc.js';

/** How a container ended. */
export interface LxcExit {
  /** the program's own status; -1 where a signal ended it; 127 where it could not be executed */
  exitCode: number;
  /** the number of the signal that ended it */
  signal: number | undefined;
  /** what LXC complained about, where the program never ran */
  failure: string | undefined;
}

/** Reads the end of a container from its log. `failure` is set for whatever is no regular end of a program. */
export function readLxcExit(logPath: string): LxcExit {
  let log = '';
  try {
    log = readFileSync(logPath, 'utf8');
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error; // no log: lxc-start did not get as far as that
  }
  return parseLxcExit(log);
}

/**
 * The same end, seen by who sent the program a signal: LXC's own init tells of it as 128 + n, and to LXC a start that was
 * killed is one that failed.
 */
export function asSignalled(exit: LxcExit, sent: NodeJS.Signals | undefined, underInit: boolean): LxcExit {
  if (sent === undefined) return exit;
  const signal = constants.signals[sent];
  const isStartKilled = sent === 'SIGKILL' && exit.failure !== undefined;
  return isStartKilled || (underInit && exit.exitCode === 128 + signal)
    ? { exitCode: -1, signal, failure: undefined }
    : exit;
}

/** When LXC was done with its own work and began the program, in milliseconds since 1970; undefined where it did not. */
export function readProgramStart(logPath: string): number | undefined {
  try {
    return parseProgramStart(readFileSync(logPath, 'utf8'), statSync(logPath).birthtimeMs);
  } catch {
    return undefined; // what is unknown is treated as never
  }
}

/** See `readProgramStart`; the log was begun at `begunAtMs`. */
export function parseProgramStart(log: string, begunAtMs: number): number | undefined {
  const [, date, time, fraction] =
    / (\d{8})(\d{6})\.(\d{3}) NOTICE +start - [^\n]*:start:\d+ - Exec'ing "/.exec(log) ?? [];
  if (date === undefined || time === undefined || fraction === undefined) return undefined;
  const second = Date.parse(date.replace(/(....)(..)(..)/, '$1-$2-$3T') + time.replace(/(..)(..)(..)/, '$1:$2:$3Z'));
  // LXC prints the first digits of the nanoseconds, without the zeros that they begin with: .897 is also .0897 or .00897.
  const possible = [100, 10, 1].map((divisor) => second + Math.floor(Number(fraction) / divisor));
  return possible.find((ms) => ms >= Math.floor(begunAtMs)) ?? possible.at(-1);
}

/** When lxc-start wrote its last line, in milliseconds since 1970; now where there is no log. */
export function lxcLogTime(logPath: string): number {
  try {
    return statSync(logPath).mtimeMs;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return Date.now();
    throw error;
  }
}

/** See `readLxcExit`. */
export function parseLxcExit(log: string): LxcExit {
  const [, status] = / Child <\d+> ended on error \((\d+)\)$/m.exec(log) ?? [];
  if (status !== undefined) return { exitCode: Number(status), signal: undefined, failure: undefined };
  const [, signal] = / Child <\d+> ended on signal [^\n]*\((\d+)\)$/m.exec(log) ?? [];
  if (signal !== undefined) return { exitCode: -1, signal: Number(signal), failure: undefined };
  const [, notExecuted] = / ERROR [^\n]*?:\d+ - ([^\n]*) - Failed to exec "/.exec(log) ?? [];
  const errors = log.split('\n').flatMap((line) => / ERROR .*?:\d+ - (.*)$/.exec(line)?.[1] ?? []);
  if (notExecuted !== undefined) return { exitCode: 127, signal: undefined, failure: errors[0] ?? notExecuted };
  if (/:\d+ - Container init process \d+ exited$/m.test(log))
    return { exitCode: 0, signal: undefined, failure: undefined };
  if (errors[0] !== undefined) return { exitCode: 255, signal: undefined, failure: errors[0] };
  return { exitCode: -1, signal: constants.signals.SIGKILL, failure: 'lxc-start was killed' };
}
