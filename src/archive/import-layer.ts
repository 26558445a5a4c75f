// An archive becomes a layer: decompressed here, hashed and written to disk by a worker thread.
//
// The layer store calls it, with an empty directory of its own. The stream is copied into a few buffers that travel to the worker and
// back, so memory is bounded and the chunks stay the sender's.
//
// The rule that must hold: when the promise settles, the worker is done with it and no descriptor, listener or process of the import
// is left.
//
// 2013: image/layers.go, LayerStore.AddLayer, and image/archive.go, Untar

import type { Readable } from 'node:stream';
import type { MessagePort } from 'node:worker_threads';
import { timedStep } from '../util/steps.js';
import { ArchiveError } from './archive-error.js';
import { decompress } from './compression.js';
import type { FromUnpackWorker, ToUnpackWorker, UnpackWorkerData } from './unpack-worker.js';
import { startJob } from '../util/thread-jobs.js';

const BUFFER_SIZE = 256 * 1024;
const BUFFERS = 4; // so at most 1 MiB is on its way

/** What came of an import. */
export interface ImportedLayer {
  /** sha256 of the tar stream, uncompressed, to its last byte, in hexadecimal */
  digest: string;
  entries: number;
  /** length of the tar stream, uncompressed */
  bytes: number;
  /** whether there are names in it that begin with `.wh.`: only then the layer can delete something */
  hasWhiteoutNames: boolean;
}

/**
 * Unpacks the archive that `source` brings into `directory`. Reads `source` to its end, also what follows the archive's own, and
 * leaves it open. Rejects with an `ArchiveError`, or with what `source` failed of; then `source` is destroyed, and the
 * caller removes what is in `directory`.
 */
export async function importLayer(source: Readable, directory: string): Promise<ImportedLayer> {
  return timedStep(
    'untar',
    'image/archive.go, Untar',
    () => ({ directory }),
    () => unpackStream(source, directory),
  );
}

async function unpackStream(source: Readable, directory: string): Promise<ImportedLayer> {
  const worker = new UnpackWorker(directory);
  // Whoever reads the stream at the moment reports its error. This one is for the moments between two readers.
  source.on('error', ignore);
  try {
    const stream = await Promise.race([decompress(source), worker.failed]);
    // A worker that fails must not wait for a sender that is silent.
    worker.failed.catch(() => stream.destroy());
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      await worker.write(chunk as Buffer); // a stream of bytes
    }
    return await worker.end();
  } catch (error) {
    source.destroy();
    throw worker.failure ?? error;
  } finally {
    await worker.close();
    source.off('error', ignore);
  }
}

// The worker and the buffers that go round. Owned by one import, which calls `close` in any case.
class UnpackWorker {
  /** Rejects when the worker fails, as soon as it does. */
  readonly failed: Promise<never>;
  failure: Error | undefined;
  readonly #port: MessagePort;
  readonly #ended: Promise<void>;
  readonly #free = Array.from({ length: BUFFERS }, () => new ArrayBuffer(BUFFER_SIZE));
  #filling: ArrayBuffer | undefined;
  #filled = 0;
  #result: ImportedLayer | undefined;
  #onFailed: (error: Error) => void = ignore;
  #onMessage: () => void = ignore;

  constructor(directory: string) {
    const data: UnpackWorkerData = { directory };
    this.failed = new Promise((_, reject) => (this.#onFailed = reject));
    this.failed.catch(ignore); // it may fail when nobody asks any more
    const { port, ended } = startJob<FromUnpackWorker>(new URL('./unpack-worker.js', import.meta.url), 'unpack', data, {
      onMessage: (message) => this.#take(message),
      onError: (error) => this.#fail(new ArchiveError(`Cannot unpack the archive: ${error.message}`, error)),
    });
    this.#port = port;
    this.#ended = ended.then(() => {
      if (this.#result === undefined) this.#fail(new ArchiveError('Cannot unpack the archive: the worker ended early'));
    });
  }

  /** Hands `chunk` on; resolves when there is room for more. The chunk stays the caller's. */
  async write(chunk: Buffer): Promise<void> {
    for (let at = 0; at < chunk.length;) {
      this.#filling ??= await this.#takeFree();
      const taken = Math.min(chunk.length - at, BUFFER_SIZE - this.#filled);
      new Uint8Array(this.#filling).set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      const isIdle = this.#free.length === BUFFERS - 1;
      if (isIdle || this.#filled === BUFFER_SIZE) this.#sendFilled();
    }
  }

  /** Says that this was all; resolves with what came of it. */
  async end(): Promise<ImportedLayer> {
    if (this.#filled > 0) this.#sendFilled();
    this.#send('end');
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      if (this.#result !== undefined) return this.#result;
      await this.#message();
    }
  }

  /** Resolves when the worker is done with it; one that is still at it gives up. */
  async close(): Promise<void> {
    if (this.#result === undefined && this.failure === undefined) this.#send('abort');
    await this.#ended;
  }

  async #takeFree(): Promise<ArrayBuffer> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      const buffer = this.#free.pop();
      if (buffer !== undefined) return buffer;
      await this.#message();
    }
  }

  #sendFilled(): void {
    const buffer = this.#filling;
    if (buffer === undefined) return;
    this.#send({ buffer, length: this.#filled }, [buffer]);
    this.#filling = undefined;
    this.#filled = 0;
  }

  #send(message: ToUnpackWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #message(): Promise<void> {
    return new Promise((resolve) => (this.#onMessage = resolve));
  }

  #take(message: FromUnpackWorker): void {
    if ('buffer' in message) this.#free.push(message.buffer);
    else if ('done' in message) this.#result = message.done;
    else this.#fail(ArchiveError.fromMessage(message.failed));
    this.#onMessage();
  }

  #fail(error: Error): void {
    this.failure ??= error;
    this.#onFailed(this.failure);
    this.#onMessage();
  }
}

function ignore(): void {
  // see where it is used
}
