// Opens files until none is left, and prints as JSON what open-files.ts says on the way. To be run with a low limit.

import { closeSync, openSync } from 'node:fs';
import {
  checkFilesForStart,
  FilesForConnections,
  onceFilesAreLeft,
  openFilesLimit,
} from '../../src/linux/open-files.js';
import { hasCode } from '../../src/linux/libc.js';
import { errorMessage } from '../../src/util/errors.js';

const limit = openFilesLimit();
const connections = new FilesForConnections(limit);
const opened: number[] = [];
let noStartAt: number | undefined;
let noConnectionAt: number | undefined;
let error = '';
const waited: string[] = [];

try {
  for (;;) {
    try {
      if (noStartAt === undefined) checkFilesForStart();
    } catch (cause) {
      error = errorMessage(cause);
      noStartAt = (opened.at(-1) ?? 0) + 1;
    }
    if (noConnectionAt === undefined && !connections.take()) noConnectionAt = (opened.at(-1) ?? 0) + 1;
    opened.push(openSync('/dev/null', 'r'));
  }
} catch (cause) {
  if (!hasCode(cause, 'EMFILE')) throw cause;
}
setTimeout(() => opened.slice(-10).forEach((fd) => closeSync(fd)), 50);
await onceFilesAreLeft(() => {
  try {
    closeSync(openSync('/dev/null', 'r'));
    waited.push('opened');
  } catch (cause) {
    if (waited.length === 0) waited.push(`failed with ${hasCode(cause, 'EMFILE') ? 'EMFILE' : errorMessage(cause)}`);
    throw cause;
  }
});
process.stdout.write(JSON.stringify({ limit, noStartAt, noConnectionAt, error, waited }));
