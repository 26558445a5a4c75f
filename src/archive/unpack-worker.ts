// The thread that unpacks one layer: takes the tar stream in buffers, hashes it, parses it and writes it to disk, all in blocking calls,
// so that the daemon's own thread never waits for the disk.
//
// `importLayer` starts a job for each import. It ends by itself: after the end, after an abort, after an error. The thread is
// never terminated meanwhile, since its descriptors belong to the process and would stay open.

import { createHash } from 'node:crypto';
import type { MessagePort } from 'node:worker_threads';
import { serveJobs } from '../util/serve-jobs.js';
import { ArchiveError, reason, type ArchiveErrorMessage } from './archive-error.js';
import { TarReader } from './tar-reader.js';
import { Unpacker } from './unpack.js';

/** What a job is started with. */
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

serveJobs((data, port, end) => {
  const { directory } = data as UnpackWorkerData; // importLayer gives it
  const unpacking = new Unpacking(directory, port);
  const onMessage = (message: ToUnpackWorker): void => {
    if (unpacking.take(message)) return;
    port.off('message', onMessage);
    unpacking.close();
    end();
  };
  port.on('message', onMessage);
});

// One import. It owns what is open of it.
class Unpacking {
  readonly #directory: string;
  readonly #port: MessagePort;
  readonly #hash = createHash('sha256');
  #unpacker: Unpacker | undefined;
  #reader: TarReader | undefined;
  #bytes = 0;

  constructor(directory: string, port: MessagePort) {
    this.#directory = directory;
    this.#port = port;
  }

  /** Whether more is to come. */
  take(message: ToUnpackWorker): boolean {
    try {
      return this.#goOn(message);
    } catch (error) {
      const told =
        error instanceof ArchiveError ? error : new ArchiveError(`Cannot unpack the archive: ${reason(error)}`, error);
      this.#tell({ failed: told.toMessage() });
      return false;
    }
  }

  close(): void {
    this.#unpacker?.close();
  }

  #goOn(message: ToUnpackWorker): boolean {
    if (message === 'abort') return false;
    // Opened here rather than at the start: what goes wrong is told like everything else.
    this.#unpacker ??= new Unpacker(this.#directory);
    this.#reader ??= new TarReader(this.#unpacker);
    if (message === 'end') {
      this.#reader.end();
      this.#unpacker.end();
      const { hasWhiteoutNames } = this.#unpacker;
      const { entries } = this.#reader;
      this.#tell({ done: { digest: this.#hash.digest('hex'), entries, bytes: this.#bytes, hasWhiteoutNames } });
      return false;
    }
    const chunk = Buffer.from(message.buffer, 0, message.length);
    this.#bytes += chunk.length;
    this.#hash.update(chunk);
    this.#reader.push(chunk);
    this.#tell({ buffer: message.buffer }, [message.buffer]);
    return true;
  }

  #tell(message: FromUnpackWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }
}
