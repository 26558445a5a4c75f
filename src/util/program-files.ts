// What the program needs beside its modules, and where that lies: the LXC templates, its version, the files that its worker
// threads run. Here they are files around this one.
//
// The single executable (`npm run binary`) has no files: there src/single-file/program-files.ts stands in place of this one.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** Three levels up from the compiled file. */
const TOP = new URL('../../../', import.meta.url);

/** Starts the worker thread whose compiled file is at `url`. It is the caller's. */
export function startWorker(url: URL, options: WorkerOptions): Worker {
  return new Worker(url, options);
}

/** The text of a file of lxc-templates/. Throws where it cannot be read. */
export function readLxcTemplate(name: string): string {
  return readFileSync(new URL(`lxc-templates/${name}`, TOP), 'utf8');
}

/** As in package.json. */
export function programVersion(): string {
  const { version } = createRequire(import.meta.url)('../../../package.json') as { version: string }; // our own file
  return version;
}
