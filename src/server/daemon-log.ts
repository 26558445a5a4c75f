// The log of the daemon: lines on its standard error, each with the time.
//
// A write there blocks until who reads it has been given the bytes. So what is logged in one turn of the event loop goes
// in one write, and the next write waits a moment for more: with a thousand calls at once, the lines about them would take
// longer than the calls.
//
// 2013: none; package log wrote line by line

import { goLogTime } from '../util/go-time.js';

/** How long after a write the next one is, in milliseconds: what a daemon that is killed may leave unsaid. */
const BETWEEN_WRITES_MS = 10;

/**
 * Makes the log of this process. A line is written at the end of the turn, or of the process, or a moment later where others
 * have just been written; it may hold no newline.
 */
export function openDaemonLog(): (line: string) => void {
  process.stderr.on('error', () => undefined); // a log that nobody can take any more is no reason to end
  let lines: string[] = [];
  let wroteAt = -BETWEEN_WRITES_MS;
  const write = (): void => {
    if (lines.length === 0) return;
    const text = lines.join('');
    lines = [];
    wroteAt = performance.now();
    process.stderr.write(text);
  };
  process.once('exit', write);
  return (line) => {
    if (lines.length === 0) {
      if (performance.now() - wroteAt < BETWEEN_WRITES_MS) setTimeout(write, BETWEEN_WRITES_MS);
      else setImmediate(write);
    }
    lines.push(`${goLogTime(new Date())} ${line}\n`);
  };
}
