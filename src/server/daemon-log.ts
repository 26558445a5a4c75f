// The log of the daemon: lines on its standard error, each with the time.
//
// A write there blocks until who reads it has been given the bytes. So what is logged in one turn of the event loop goes
// in one write: with a thousand calls at once, the lines about them would take longer than the calls.
//
// 2013: none; package log wrote line by line

import { goLogTime } from '../util/go-time.js';

/** Makes the log of this process. A line is written at the end of the turn, or of the process; it may hold no newline. */
export function openDaemonLog(): (line: string) => void {
  process.stderr.on('error', () => undefined); // a log that nobody can take any more is no reason to end
  let lines: string[] = [];
  const write = (): void => {
    if (lines.length === 0) return;
    const text = lines.join('');
    lines = [];
    process.stderr.write(text);
  };
  process.once('exit', write);
  return (line) => {
    if (lines.length === 0) setImmediate(write);
    lines.push(`${goLogTime(new Date())} ${line}\n`);
  };
}
