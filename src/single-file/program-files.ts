// In the single executable: the LXC templates, the version and the code of the worker threads are assets inside of it.
//
// examples/binary.js puts this module in place of src/util/program-files.ts, whose promises it keeps.

import { basename } from 'node:path';
import { Worker, type WorkerOptions } from 'node:worker_threads';
import { assetText } from './assets.js';

/** Starts the worker thread whose compiled file would be at `url`. It is the caller's. */
export function startWorker(url: URL, options: WorkerOptions): Worker {
  return new Worker(assetText(basename(url.pathname)), { ...options, eval: true });
}

/** The text of a file of lxc-templates/. */
export function readLxcTemplate(name: string): string {
  return assetText(`lxc-templates/${name}`);
}

/** As in package.json. */
export function programVersion(): string {
  return (JSON.parse(assetText('package.json')) as { version: string }).version; // our own file
}
