// Packs and reads archives whole, for tests that look at what is in them.

import { Packer, type PackOptions } from '../../src/archive/pack.js';
import type { TarEntry } from '../../src/archive/tar-entry.js';
import { TarReader } from '../../src/archive/tar-reader.js';

export interface ReadEntry extends TarEntry {
  /** what is stored, without holes */
  content: Buffer;
}

/** The archive of a tree, packed by buffers of `bufferSize` bytes. */
export function pack(options: PackOptions, bufferSize = 65_536): Buffer {
  const packer = new Packer(options);
  try {
    const parts: Buffer[] = [];
    const buffer = Buffer.alloc(bufferSize);
    for (let length = packer.fill(buffer); length > 0; length = packer.fill(buffer)) {
      parts.push(Buffer.from(buffer.subarray(0, length)));
    }
    return Buffer.concat(parts);
  } finally {
    packer.close();
  }
}

/** The entries of an archive, as our own reader reads them. */
export function readArchive(archive: Buffer): ReadEntry[] {
  const entries: ReadEntry[] = [];
  const reader = new TarReader({
    begin: (entry) => entries.push({ ...entry, content: Buffer.of() }),
    write: (data) => {
      const last = entries.at(-1);
      if (last !== undefined) last.content = Buffer.concat([last.content, data]);
    },
    finish: () => undefined,
  });
  reader.push(archive);
  reader.end();
  return entries;
}

/** The names in an archive, one character a byte. */
export function namesIn(archive: Buffer): string[] {
  return readArchive(archive).map(({ name }) => name.toString('latin1'));
}
