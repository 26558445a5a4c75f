// A tree on disk becomes a tar stream, read by a worker thread.
//
// `tar` and `commit` call it. A few empty buffers go to the worker, which fills them; a filled one is the reader's for good, and a
// new one goes to the worker only when the reader wants more. So memory is bounded, and a slow reader makes a slow worker.
//
// The rule that must hold: when the stream has ended, failed or been destroyed, the worker is done with it and no descriptor
// or listener of it is left. Whoever does not read to the end destroys the stream.
//
// 2013: utils.go, Tar

import { Readable } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';
import { timedStep } from '../util/steps.js';
import { ArchiveError } from './archive-error.js';
import type { FromPackWorker, ToPackWorker } from './pack-worker.js';
import type { PackOptions } from './pack.js';
import { startJob } from '../util/thread-jobs.js';

const BUFFER_SIZE = 256 * 1024;
const BUFFERS = 4; // so at most 1 MiB waits for the reader

/** The tree as an uncompressed tar archive, in chunks that are the reader's own. Fails with an `ArchiveError`. */
export function packTree(options: PackOptions): Readable {
  const stream = new PackStream(options);
  const { root, form } = options;
  timedStep(
    'tar',
    'utils.go, Tar',
    () => ({ root, form, bytes: stream.bytes }),
    () => stream.packed,
  ).catch(ignore); // the stream tells
  return stream;
}

// Owns its job.
class PackStream extends Readable {
  /** Resolves when the job has ended well, rejects when it has ended otherwise. */
  readonly packed: Promise<void>;
  /** length of the archive, as far as it is packed */
  bytes = 0;
  readonly #port: MessagePort;
  #isAtEnd = false;
  #hasEnded = false;
  #failure: Error | undefined;
  #isWanted = false;
  readonly #chunks: Buffer[] = []; // filled, not yet wanted

  constructor(options: PackOptions) {
    super({ highWaterMark: BUFFER_SIZE });
    const { port, ended } = startJob<FromPackWorker>(new URL('./pack-worker.js', import.meta.url), 'pack', options, {
      onMessage: (message) => this.#take(message),
      onError: (error) => this.#fail(new ArchiveError(`Cannot pack the tree: ${error.message}`, error)),
    });
    this.#port = port;
    this.packed = ended.then(() => this.#end());
    for (let nth = 0; nth < BUFFERS; nth++) this.#sendBuffer();
  }

  override _read(): void {
    this.#isWanted = true;
    this.#push();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#chunks.length = 0;
    if (!this.#hasEnded) this.#send('abort'); // without effect where it is ending
    const settle = (): void => callback(error);
    this.packed.then(settle, settle);
  }

  #take(message: FromPackWorker): void {
    if (message === 'end') {
      this.#isAtEnd = true;
    } else if ('failed' in message) {
      this.#fail(ArchiveError.fromMessage(message.failed));
    } else {
      this.bytes += message.length;
      this.#chunks.push(Buffer.from(message.buffer, 0, message.length));
      this.#push();
    }
  }

  #end(): void {
    this.#hasEnded = true;
    if (!this.#isAtEnd) this.#fail(new ArchiveError('Cannot pack the tree: the worker ended early'));
    this.#push();
    if (this.#failure !== undefined) throw this.#failure;
  }

  // Hands on what is there as long as it is wanted. The end comes after the worker's own, and so does a failure.
  #push(): void {
    while (this.#isWanted && this.#chunks.length > 0) {
      const chunk = this.#chunks.shift() ?? Buffer.of();
      if (!this.#isAtEnd) this.#sendBuffer();
      this.#isWanted = this.push(chunk);
    }
    if (!this.#hasEnded || this.destroyed) return;
    if (this.#failure !== undefined) this.destroy(this.#failure);
    else if (this.#chunks.length === 0) this.push(null);
  }

  #sendBuffer(): void {
    const buffer = new ArrayBuffer(BUFFER_SIZE);
    this.#send({ buffer }, [buffer]);
  }

  #send(message: ToPackWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
  }
}

function ignore(): void {
  // see where it is used
}
