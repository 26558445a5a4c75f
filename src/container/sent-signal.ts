// The signal that a daemon sent to the program last, in a file beside the container's: `Run` keeps it there. LXC does not
// tell of it in every case, and who sent it may be killed before the program ends.
//
// It need not be on the disk: a machine that loses its memory loses its containers too.
//
// 2013: nothing

import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { hasCode } from '../linux/libc.js';
import type { SignalName } from '../linux/process.js';

const FILE = 'signal';

/** Puts it on record for the run that is under way in the folder `root`; undefined for none. */
export function keepSignal(root: string, signal: SignalName | undefined): void {
  if (signal === undefined) forgetSignal(root);
  else writeFileSync(join(root, FILE), signal, { mode: 0o600 });
}

/** What `keepSignal` was told; undefined for none. */
export function keptSignal(root: string): SignalName | undefined {
  try {
    const text = readFileSync(join(root, FILE), 'latin1');
    return Object.hasOwn(constants.signals, text) ? (text as SignalName) : undefined; // one of them, as just seen
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** The run is over, or another one begins. */
export function forgetSignal(root: string): void {
  rmSync(join(root, FILE), { force: true });
}
