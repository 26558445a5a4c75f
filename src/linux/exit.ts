// exit_group(2): the end of a process whose threads are at work.
//
// `server/daemon.ts` ends with it. The end that node has in mind stops each thread first, at whatever line it is; one that is just
// loading koffi then makes koffi abort the whole process.
//
// 2013: none

import { bindVoid } from './libc.js';

const exitGroup = bindVoid('void _exit(int status)');

/** Ends the process, after the listeners of its `exit`. The kernel stops its threads. */
export function exitAtOnce(status: number): never {
  process.once('exit', exitGroup); // the last listener
  process.exit(status);
}
