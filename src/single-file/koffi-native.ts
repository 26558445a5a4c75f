// In the single executable: the native part of koffi is an asset inside of it, and the linker loads libraries from files
// only. So it is written to a file without a name, which is gone with the process, and loaded by its descriptor.
//
// examples/binary.js puts this module in place of the one by which koffi finds its native part. A worker thread takes
// the descriptor of the main thread: for the same file the linker gives it the same library.

import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { constants as osConstants, tmpdir } from 'node:os';
import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';
import { assetBytes } from './assets.js';

const ASSET = 'koffi.node';
/** The name under which a worker thread is told where the library is. */
const PATH_KEY = 'tsdock:koffi';
/** open(2), O_TMPFILE with its O_DIRECTORY: node has no name for it. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

/** What koffi's native part exports. Throws where no folder for temporary files lets a library be loaded from it. */
export function loadStatic(): unknown {
  const path = getEnvironmentData(PATH_KEY);
  if (!isMainThread && typeof path === 'string') return load(path);
  const library = assetBytes(ASSET);
  const failures: string[] = [];
  for (const folder of new Set([tmpdir(), '/dev/shm', '/run', '/var/tmp'])) {
    try {
      return loadThrough(folder, library);
    } catch (error) {
      failures.push(`${folder}: ${String(error)}`);
    }
  }
  throw new Error(`Cannot load the native part of koffi from a temporary file:\n${failures.join('\n')}`);
}

/** The descriptor stays open for the worker threads. */
function loadThrough(folder: string, library: Uint8Array): unknown {
  const fd = openSync(folder, O_TMPFILE | constants.O_RDWR, 0o700);
  try {
    for (let at = 0; at < library.length;) at += writeSync(fd, library, at);
    const path = `/proc/self/fd/${fd}`;
    const native = load(path);
    setEnvironmentData(PATH_KEY, path);
    return native;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function load(path: string): unknown {
  const module: { exports: unknown } = { exports: {} };
  process.dlopen(module, path, osConstants.dlopen.RTLD_NOW);
  return module.exports;
}
