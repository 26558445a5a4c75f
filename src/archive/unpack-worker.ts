// The thread that unpacks one layer: takes the tar stream in buffers, hashes it, parses it and writes it to disk, all in blocking calls,
// so that the daemon's own thread never waits for the disk.
//
// `importLayer` starts one for each import. It ends by itself: after the end, after an abort, after an error. It is never
// terminated from outside, since its descriptors belong to the process and would stay open.

import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { ArchiveError, reason, type ArchiveErrorMessage } from './archive-error.js';
import { TarReader } from './tar-reader.js';
import { Unpacker } from './unpack.js';

/** What the worker is started with. */
export interface UnpackWorkerData {
  directory: string;
}

/** What the worker is told. A buffer travels with its message, and comes back when its first `length` bytes are done. */
export type ToUnpackWorker = { buffer: ArrayBuffer; length: number } | 'end' | 'abort';

/** What the worker tells. `done` or `failed` is the last message. */
export type FromUnpackWorker =
  | { buffer: ArrayBuffer }
  | { done: { digest: string; entries: number; bytes: number; hasWhiteoutNames: boolean } }
  | { failed: ArchiveErrorMessage };

const port = parentPort;
if (port === null) throw new Error('Cannot run the unpack worker: it is no program, importLayer() starts it');

const { directory } = workerData as UnpackWorkerData; // importLayer gives it
const hash = createHash('sha256');
let unpacker: Unpacker | undefined;
let reader: TarReader | undefined;
let bytes = 0;

function tell(message: FromUnpackWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function take(message: ToUnpackWorker): boolean {
  if (message === 'abort') return false;
  // Opened here rather than at the start: what goes wrong is told like everything else.
  unpacker ??= new Unpacker(directory);
  reader ??= new TarReader(unpacker);
  if (message === 'end') {
    reader.end();
    unpacker.end();
    const { hasWhiteoutNames } = unpacker;
    tell({ done: { digest: hash.digest('hex'), entries: reader.entries, bytes, hasWhiteoutNames } });
    return false;
  }
  const chunk = Buffer.from(message.buffer, 0, message.length);
  bytes += chunk.length;
  hash.update(chunk);
  reader.push(chunk);
  tell({ buffer: message.buffer }, [message.buffer]);
  return true;
}

function onMessage(message: ToUnpackWorker): void {
  let goesOn = false;
  try {
    goesOn = take(message);
  } catch (error) {
    const told =
      error instanceof ArchiveError ? error : new ArchiveError(`Cannot unpack the archive: ${reason(error)}`, error);
    tell({ failed: told.toMessage() });
  } finally {
    if (!goesOn) {
      port?.off('message', onMessage);
      port?.close();
      unpacker?.close();
    }
  }
}

port.on('message', onMessage);
