// The tar reader alone: what it makes of archives that are odd, damaged or made to do harm.

import assert from 'node:assert/strict';
import test from 'node:test';
import { ArchiveError } from '../../src/archive/archive-error.js';
import type { TarEntry } from '../../src/archive/tar-entry.js';
import { TarReader } from '../../src/archive/tar-reader.js';
import { archive, entry, headerBlock, padded, pax, withChecksum } from './tar-builder.js';

interface ReadEntry extends TarEntry {
  content: string;
}

function read(input: Buffer, chunkSize = Math.max(input.length, 1)): ReadEntry[] {
  const entries: ReadEntry[] = [];
  const reader = new TarReader({
    begin: (header) => entries.push({ ...header, content: '' }),
    write: (data, position) => {
      const last = entries.at(-1);
      assert.ok(last !== undefined && data.length > 0);
      last.content = last.content.padEnd(position, '.') + data.toString('latin1');
    },
    finish: () => undefined,
  });
  for (let start = 0; start < input.length; start += chunkSize) reader.push(input.subarray(start, start + chunkSize));
  reader.end();
  assert.equal(reader.entries, entries.length);
  return entries;
}

function readOne(...parts: Buffer[]): ReadEntry {
  const [only, ...others] = read(archive(...parts));
  assert.ok(only !== undefined && others.length === 0);
  return only;
}

function assertRefused(input: Buffer, message: RegExp): void {
  const isExpected = (error: unknown): boolean => error instanceof ArchiveError && message.test(error.message);
  for (const chunkSize of [100, Math.max(input.length, 1)]) assert.throws(() => read(input, chunkSize), isExpected);
}

const base256 = (hex: string): Buffer => Buffer.from(hex.padStart(24, hex.startsWith('f') ? 'f' : '0'), 'hex');

function oldSparse(extents: [number, number][], realSize: number, hasMore: boolean, storedSize: number): Buffer {
  const block = headerBlock({ name: 'sparse', type: 'S', magic: 'ustar  \0' }, storedSize);
  extents.forEach(([offset, length], at) => {
    block.write(offset.toString(8).padStart(11, '0'), 386 + at * 24);
    block.write(length.toString(8).padStart(11, '0'), 398 + at * 24);
  });
  block[482] = hasMore ? 1 : 0;
  block.write(realSize.toString(8).padStart(11, '0'), 483);
  return withChecksum(block);
}

test('TarReader reads the same entries whatever the size of the chunks', () => {
  const input = archive(
    entry({ name: 'L', type: 'L', content: `${'long/'.repeat(40)}name\0` }),
    pax({ mtime: '1.5', 'SCHILY.xattr.trusted.x': Buffer.of(0, 10, 61) }),
    entry({ name: 'short', content: 'x'.repeat(1300) }),
    pax({ 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '20', 'GNU.sparse.name': 'holes' }),
    entry({ name: 'GNUSparseFile.1/holes', content: Buffer.concat([padded(Buffer.from('2\n2\n3\n10\n4\n')), Buffer.from('abcdefg')]) }),
    oldSparse([[1, 1], [3, 0]], 5, true, 2),
    (() => {
      const block = Buffer.alloc(512);
      block.write('00000000004', 0);
      block.write('00000000001', 12);
      return block;
    })(),
    padded(Buffer.from('yz')),
    entry({ name: 'last', content: '' }),
  ); // prettier-ignore
  const whole = read(input);
  assert.deepEqual(
    whole.map(({ name, size, content }) => [name.toString(), size, content]),
    [
      [`${'long/'.repeat(40)}name`, 1300, 'x'.repeat(1300)],
      ['holes', 20, '..abc.....defg'],
      ['sparse', 5, '.y..z'],
      ['last', 0, ''],
    ],
  );
  assert.equal(whole[0]?.mtimeNs, 1_500_000_000n);
  for (const size of [1, 3, 511, 512, 513, 4096]) assert.deepEqual(read(input, size), whole);
});

test('TarReader takes no file for a directory because its long name is cut off at a slash', () => {
  const name = `${'d'.repeat(49)}/${'e'.repeat(49)}/${'f'.repeat(60)}`;
  const long = entry({ name: 'L', type: 'L', content: `${name}\0` });
  const { kind, size, content } = readOne(long, entry({ name: name.slice(0, 100), content: 'content' }));
  assert.deepEqual([kind, size, content], ['file', 7, 'content']);
});

test('TarReader refuses what is no tar archive', () => {
  assertRefused(Buffer.alloc(0), /^Cannot read the archive: it is empty$/);
  assertRefused(Buffer.from('hello'), /it is no tar archive$/);
  assertRefused(Buffer.alloc(4096, 'garbage '), /it is no tar archive$/);
  assertRefused(Buffer.alloc(4096, 0xff), /it is no tar archive$/);
  assertRefused(Buffer.alloc(100), /it is no tar archive$/);
});

test('TarReader accepts an archive of no entries', () => {
  assert.deepEqual(read(Buffer.alloc(10240)), []);
});

test('TarReader says where a checksum is wrong', () => {
  const input = archive(entry({ name: 'a' }), entry({ name: 'b' }));
  input[512] = 0x63;
  assertRefused(input, /header at byte 512: the checksum is wrong/);
});

test('TarReader accepts a checksum over signed bytes', () => {
  const block = withChecksum(headerBlock({ name: Buffer.of(0xe4, 0xf6) }, 0), true);
  assert.deepEqual(readOne(block).name, Buffer.of(0xe4, 0xf6));
});

test('TarReader refuses sizes that are negative or too large to be exact', () => {
  for (const size of [
    base256('808000000000000000'.padStart(24, '0').replace(/^../, '80')),
    base256('ffff'),
    Buffer.from('-0000000001\0'),
  ]) {
    assertRefused(
      archive(headerBlock({ name: 'a', size }, 0)),
      /header at byte 0: .*(out of range|negative or invalid)/,
    );
  }
  for (const size of ['9223372036854775808', '-1', '1e3', '0x10', '']) {
    const input = archive(pax({ size }), entry({ name: 'a' }));
    if (size === '') assert.equal(read(input)[0]?.size, 0);
    else assertRefused(input, /number .* is invalid or out of range/);
  }
});

test('TarReader reads sizes and owners in base-256', () => {
  const block = headerBlock({ name: 'a' }, 0);
  Buffer.from('80000000fffffff0', 'hex').copy(block, 108);
  assert.equal(readOne(withChecksum(block)).uid, 0xfffffff0);
});

test('TarReader refuses an archive that is cut off', () => {
  const whole = Buffer.concat([
    entry({ name: 'L', type: 'L', content: 'name\0' }),
    entry({ name: 'a', content: 'x'.repeat(700) }),
  ]);
  for (const length of [600, 1023, 1024, 1025, 1536, 1537, 2236, 2300, whole.length - 1]) {
    assertRefused(whole.subarray(0, length), /it is cut off at byte \d+, within an entry/);
  }
  assertRefused(archive(entry({ name: 'L', type: 'L', content: 'name\0' })), /the entry at byte 1024 is missing/);
});

test('TarReader accepts an archive without zeros at its end, and passes over what follows them', () => {
  const one = entry({ name: 'a', content: 'x' });
  assert.equal(read(one).length, 1);
  assert.equal(read(Buffer.concat([archive(one), Buffer.alloc(5000, 'junk')])).length, 1);
});

test('TarReader keeps names as bytes', () => {
  const raw = Buffer.from('caf\xe9\xff\n', 'latin1');
  assert.deepEqual(readOne(entry({ name: raw })).name, raw);
  assert.deepEqual(readOne(pax({ path: raw, linkpath: raw }), entry({ name: 'a', type: '2' })).linkName, raw);
  assert.equal(readOne(entry({ name: 'n'.repeat(100), prefix: 'p'.repeat(155) })).name.length, 256);
  assert.equal(readOne(entry({ name: 'n', prefix: 'not one', magic: 'ustar  \0' })).name.toString(), 'n');
});

test('TarReader takes a name from the pax header before a GNU long name before the header', () => {
  const long = entry({ name: 'L', type: 'L', content: 'long\0' });
  assert.equal(readOne(long, entry({ name: 'a' })).name.toString(), 'long');
  assert.equal(readOne(pax({ path: 'pax' }), long, entry({ name: 'a' })).name.toString(), 'pax');
});

test('TarReader applies a global header to owners and times, and to no name or size', () => {
  const globals = pax({ uid: '7', gid: '8', mtime: '-1.25', path: 'evil', size: '5', comment: 'c' }, 'g');
  const [first, second] = read(
    archive(globals, entry({ name: 'a' }), pax({ uid: '9', gid: '' }), entry({ name: 'b', gid: 3 })),
  );
  assert.deepEqual([first?.name.toString(), first?.uid, first?.gid, first?.size], ['a', 7, 8, 0]);
  assert.equal(first?.mtimeNs, -1_250_000_000n);
  assert.deepEqual([second?.name.toString(), second?.uid, second?.gid], ['b', 9, 3]);
});

test('TarReader reads extended attributes of both makes', () => {
  const { xattrs } = readOne(
    pax({ 'SCHILY.xattr.user.a%3Db': Buffer.of(0, 61), 'LIBARCHIVE.xattr.user.%C3%A4': 'AP8=' }),
    entry({ name: 'a' }),
  );
  assert.deepEqual([...xattrs], [['user.a=b', Buffer.of(0, 61)], ['user.\xc3\xa4', Buffer.of(0, 255)]]); // prettier-ignore
});

test('TarReader refuses malformed and very large extended headers', () => {
  for (const content of ['5 a=b', '99 path=x\n', 'path=x\n', '0 a=b\n', '6 a=b\nx', '-6 a=b\n', '7 abcd\n']) {
    assertRefused(
      archive(entry({ name: 'x', type: 'x', content }), entry({ name: 'a' })),
      /header at byte 0: .*(malformed|invalid)/,
    );
  }
  assertRefused(
    archive(headerBlock({ name: 'x', type: 'x' }, 2 ** 30)),
    /an extended header of 1073741824 bytes is too large/,
  );
  assertRefused(archive(pax({ mtime: '12:30' }), entry({ name: 'a' })), /time "12:30" is invalid/);
});

test('TarReader reads device numbers of GNU archives', () => {
  const device = readOne(entry({ name: 'tty', type: '3', magic: 'ustar  \0', device: [4, 64], size: 512 }));
  assert.deepEqual([device.kind, device.deviceMajor, device.deviceMinor], ['character', 4, 64]);
});

test('TarReader takes old types for what they mean', () => {
  assert.equal(readOne(entry({ name: 'dir/', type: '\0', magic: '' })).kind, 'directory');
  assert.equal(readOne(entry({ name: 'f', type: '\0', magic: '' })).kind, 'file');
  assert.equal(readOne(entry({ name: 'f', type: '7' })).kind, 'file');
  assert.equal(readOne(entry({ name: 'f', type: 'Z', content: 'z' })).content, 'z');
  assert.deepEqual(
    readOne(entry({ name: 'volume', type: 'V' }), entry({ name: 'f', type: 'D', content: 'Ya\0' })).kind,
    'directory',
  );
  assertRefused(archive(entry({ name: 'f', type: 'M' })), /it continues a file of another volume/);
});

test('TarReader refuses sparse maps that do not add up', () => {
  assertRefused(archive(oldSparse([[0, 4], [2, 4]], 10, false, 8), padded(Buffer.from('12345678'))), /overlaps or leaves/); // prettier-ignore
  assertRefused(archive(oldSparse([[0, 4]], 3, false, 4)), /overlaps or leaves/);
  assertRefused(archive(oldSparse([[0, 4]], 9, false, 8)), /does not match the content/);
  const map = (value: string): Buffer =>
    archive(pax({ 'GNU.sparse.size': '9', 'GNU.sparse.map': value }), entry({ name: 'a', content: '123' }));
  assert.equal(read(map('0,1,4,2'))[0]?.content, '1...23');
  assertRefused(map('0,1,4'), /malformed/);
  assertRefused(map('0,x'), /invalid/);
  const major = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9' };
  assertRefused(
    archive(pax(major), entry({ name: 'a', content: padded(Buffer.from('9999999999\n')) })),
    /more than 262144 sparse extents/,
  );
  assertRefused(
    archive(pax(major), entry({ name: 'a', content: padded(Buffer.from('3\n1\n')) }), entry({ name: 'b' })),
    /longer than the content|invalid/,
  );
  assertRefused(
    archive(pax({ ...major, 'GNU.sparse.major': '2' }), entry({ name: 'a' })),
    /sparse format "2.0" is unknown/,
  );
});

test('TarReader reads pax 0.0 sparse records in their order', () => {
  const records: [string, string][] = [
    ['GNU.sparse.size', '8'], ['GNU.sparse.numblocks', '2'],
    ['GNU.sparse.offset', '1'], ['GNU.sparse.numbytes', '1'], ['GNU.sparse.offset', '6'], ['GNU.sparse.numbytes', '2'],
  ]; // prettier-ignore
  const sparse = readOne(pax(records), entry({ name: 'a', content: 'xyz' }));
  assert.deepEqual([sparse.content, sparse.size], ['.x....yz', 8]);
});
