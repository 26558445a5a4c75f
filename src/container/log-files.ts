// A reader's own descriptors on the files of the log, one generation at a time.
//
// The files are opened by name, and a rotation renames them: where that happens while they are opened, they are opened
// again. Who has them open reads on, whatever they are called.
//
// Owns the descriptors from `use` until the next generation is used, or `close`.

import { open, type FileHandle } from 'node:fs/promises';
import { hasCode } from '../linux/libc.js';
import {
  decodeRecords,
  keyOf,
  RECORD_BYTES,
  type LogPosition,
  type OrderRecord,
  type StreamNumber,
} from './log-records.js';
import type { LogPaths } from './log-rotation.js';
import type { LogGeneration } from './log-store.js';

type Handles = Record<keyof LogPosition, FileHandle | undefined>;

/** See the head of the file. A file that is missing is an empty one. */
export class LogFiles {
  #generation: LogGeneration | undefined;
  #handles: Handles = { stdout: undefined, stderr: undefined, order: undefined };
  #piece = Buffer.alloc(0);

  /** What is read from now on; nothing where it is gone. */
  async use(generation: LogGeneration): Promise<void> {
    while (this.#generation !== generation) {
      await this.close();
      const { paths } = generation;
      await this.#open(paths);
      // What has its names now is another one.
      if (generation.isGone) await this.close();
      if (generation.isGone || generation.paths === paths) this.#generation = generation;
    }
  }

  async close(): Promise<void> {
    const handles = this.#handles;
    this.#handles = { stdout: undefined, stderr: undefined, order: undefined };
    this.#generation = undefined;
    for (const handle of [handles.stdout, handles.stderr, handles.order]) await handle?.close();
  }

  /** One buffer serves all reads: a piece is good until the next one is read. */
  read(stream: StreamNumber, position: number, length: number): Promise<Buffer> {
    if (this.#piece.length < length) this.#piece = Buffer.allocUnsafe(length);
    return readAt(this.#handles[keyOf(stream)], position, this.#piece.subarray(0, length));
  }

  /** The records from `position` on, at most `count`. */
  async records(position: number, count: number): Promise<OrderRecord[]> {
    return decodeRecords(await readAt(this.#handles.order, position, Buffer.alloc(count * RECORD_BYTES)));
  }

  /** One after the other: where one cannot be opened, `close` closes those before it. */
  async #open(paths: LogPaths): Promise<void> {
    for (const name of ['stdout', 'stderr', 'order'] as const) this.#handles[name] = await openIfThere(paths[name]);
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function readAt(handle: FileHandle | undefined, position: number, into: Buffer): Promise<Buffer> {
  if (handle === undefined) return into.subarray(0, 0);
  const { bytesRead } = await handle.read(into, 0, into.length, position);
  return into.subarray(0, bytesRead);
}
