// Plays cases against daemons of our own. They run on a machine made for them, a network namespace, and so does what plays the
// cases: it must reach the containers' addresses, and the daemons must reach the pages that it serves.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TestMachine } from '../network/test-machine.js';
import { readOptions } from './options.js';

const INSIDE = fileURLToPath(new URL('inside-machine.js', import.meta.url));

/** Plays what this command line asks for, and prints line by line. Resolves with the exit status. */
export async function playOnOwnMachine(args: string[], print: (line: string) => void): Promise<number> {
  const { daemons } = readOptions(args);
  const machine = await TestMachine.start();
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'tsdock-test-conformance-')));
  try {
    // Told beforehand: what is killed on the way cannot clean up.
    for (let n = 0; n < daemons; n++) machine.guard(directoryOf(folder, n));
    machine.guard(folder);
    return await playInside(machine, [folder, ...args.map(absolute)], print);
  } finally {
    await rm(folder, { recursive: true, force: true });
    await machine.close();
  }
}

/** The data directory of the n-th daemon. */
export function directoryOf(folder: string, n: number): string {
  return join(folder, String(n));
}

async function playInside(machine: TestMachine, args: string[], print: (line: string) => void): Promise<number> {
  const [command = '', ...words] = [...machine.enter, process.execPath, INSIDE, ...args];
  const child = spawn(command, words, { stdio: ['ignore', 'pipe', 'inherit'], env: machine.environment });
  createInterface({ input: child.stdout }).on('line', print);
  return new Promise((done, reject) => {
    child.once('error', reject);
    child.once('close', (status) => done(status ?? 1));
  });
}

/** Files are named from here; in there everything starts in the root folder. */
function absolute(word: string): string {
  return word.startsWith('-') || !existsSync(word) ? word : resolve(word);
}
