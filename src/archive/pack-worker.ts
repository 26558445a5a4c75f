// The thread that packs one tree: reads it in blocking calls, a buffer at a time, so that the daemon's own thread never waits for
// the disk.
//
// `packTree` starts a job for each archive. It ends by itself: after the end, after an abort, after an error. The thread is never
// terminated meanwhile, since its descriptors belong to the process and would stay open.

import type { MessagePort } from 'node:worker_threads';
import { serveJobs } from '../util/serve-jobs.js';
import { ArchiveError, reason, type ArchiveErrorMessage } from './archive-error.js';
import { Packer, type PackOptions } from './pack.js';

/** What the worker is told: a buffer to be filled, or to give up. */
export type ToPackWorker = { buffer: ArrayBuffer } | 'abort';

/** What the worker tells: the first `length` bytes of a buffer are what comes next. `end` or `failed` is the last message. */
export type FromPackWorker = { buffer: ArrayBuffer; length: number } | 'end' | { failed: ArchiveErrorMessage };

serveJobs((options, port, end) => {
  const packer = new Packer(options as PackOptions); // packTree gives them
  const onMessage = (message: ToPackWorker): void => {
    if (take(message, packer, port)) return;
    port.off('message', onMessage);
    packer.close();
    end();
  };
  port.on('message', onMessage);
});

// Whether more is to come.
function take(message: ToPackWorker, packer: Packer, port: MessagePort): boolean {
  const tell = (said: FromPackWorker, transfer: ArrayBuffer[] = []): void => port.postMessage(said, transfer);
  if (message === 'abort') return false;
  try {
    const { buffer } = message;
    const length = packer.fill(new Uint8Array(buffer));
    const isEnd = length < buffer.byteLength; // asked before the buffer is given away
    tell({ buffer, length }, [buffer]);
    if (isEnd) tell('end');
    return !isEnd;
  } catch (error) {
    const told =
      error instanceof ArchiveError ? error : new ArchiveError(`Cannot pack the tree: ${reason(error)}`, error);
    tell({ failed: told.toMessage() });
    return false;
  }
}
