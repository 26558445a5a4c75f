// Makes tar archives byte by byte, for what no program would write, and temporary folders that go away with their test.

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { removeTree } from '../../src/linux/remove-tree.js';
import { umountBelow } from '../mounts.js';

export interface RawHeader {
  name: string | Buffer;
  type?: string;
  content?: string | Buffer;
  /** the size that the header claims, where it is not that of the content */
  size?: number | Buffer;
  linkName?: string;
  mode?: number;
  uid?: number;
  gid?: number;
  mtime?: number;
  magic?: string;
  prefix?: string;
  device?: [major: number, minor: number];
}

/** A folder that is removed after the test with all that is mounted in it, also when the test fails. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  t.after(async () => {
    umountBelow(folder);
    await removeTree(folder); // node's own does not go as deep as some of the tests
  });
  return folder;
}

/** One entry: header, content, padding. */
export function entry(header: RawHeader): Buffer {
  const content = Buffer.from(header.content ?? '');
  return Buffer.concat([headerBlock(header, content.length), padded(content)]);
}

/** An extended header of these records. */
export function pax(records: Record<string, string | Buffer> | [string, string | Buffer][], type = 'x'): Buffer {
  const list = Array.isArray(records) ? records : Object.entries(records);
  const content = Buffer.concat(list.map(([key, value]) => paxRecord(key, Buffer.from(value))));
  return entry({ name: 'pax', type, content });
}

/** The parts, with the two blocks of zeros that end an archive. */
export function archive(...parts: Buffer[]): Buffer {
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

export function padded(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export function headerBlock(header: RawHeader, contentLength: number): Buffer {
  const block = Buffer.alloc(512);
  Buffer.from(header.name).copy(block, 0, 0, 100);
  octal(block, 100, 8, header.mode ?? 0o644);
  octal(block, 108, 8, header.uid ?? 0);
  octal(block, 116, 8, header.gid ?? 0);
  if (Buffer.isBuffer(header.size)) header.size.copy(block, 124);
  else octal(block, 124, 12, header.size ?? contentLength);
  octal(block, 136, 12, header.mtime ?? 1_355_270_400);
  block.write(header.type ?? '0', 156, 'latin1');
  block.write(header.linkName ?? '', 157, 100);
  block.write(header.magic ?? 'ustar\x0000', 257, 'latin1');
  if (header.device !== undefined) {
    octal(block, 329, 8, header.device[0]);
    octal(block, 337, 8, header.device[1]);
  }
  block.write(header.prefix ?? '', 345, 155);
  return withChecksum(block);
}

/** Sets the checksum right after a block was changed by hand. */
export function withChecksum(block: Buffer, isSigned = false): Buffer {
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block) sum += isSigned && byte > 127 ? byte - 256 : byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function octal(block: Buffer, offset: number, length: number, value: number): void {
  block.write(`${value.toString(8).padStart(length - 1, '0')}\0`, offset, 'latin1');
}

function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}
