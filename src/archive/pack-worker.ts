// The thread that packs one tree: reads it in blocking calls, a buffer at a time, so that the daemon's own thread never waits for
// the disk.
//
// `packTree` starts one for each archive. It ends by itself: after the end, after an abort, after an error. It is never
// terminated from outside, since its descriptors belong to the process and would stay open.

import { parentPort, workerData } from 'node:worker_threads';
import { ArchiveError, reason, type ArchiveErrorMessage } from './archive-error.js';
import { Packer, type PackOptions } from './pack.js';

/** What the worker is told: a buffer to be filled, or to give up. */
export type ToPackWorker = { buffer: ArrayBuffer } | 'abort';

/** What the worker tells: the first `length` bytes of a buffer are what comes next. `end` or `failed` is the last message. */
export type FromPackWorker = { buffer: ArrayBuffer; length: number } | 'end' | { failed: ArchiveErrorMessage };

const port = parentPort;
if (port === null) throw new Error('Cannot run the pack worker: it is no program, packTree() starts it');

const packer = new Packer(workerData as PackOptions); // packTree gives them

function tell(message: FromPackWorker, transfer: ArrayBuffer[] = []): void {
  port?.postMessage(message, transfer);
}

function take(message: ToPackWorker): boolean {
  if (message === 'abort') return false;
  const { buffer } = message;
  const length = packer.fill(new Uint8Array(buffer));
  const isEnd = length < buffer.byteLength; // asked before the buffer is given away
  tell({ buffer, length }, [buffer]);
  if (isEnd) tell('end');
  return !isEnd;
}

function onMessage(message: ToPackWorker): void {
  let goesOn = false;
  try {
    goesOn = take(message);
  } catch (error) {
    const told =
      error instanceof ArchiveError ? error : new ArchiveError(`Cannot pack the tree: ${reason(error)}`, error);
    tell({ failed: told.toMessage() });
  } finally {
    if (!goesOn) {
      port?.off('message', onMessage);
      port?.close();
      packer.close();
    }
  }
}

port.on('message', onMessage);
