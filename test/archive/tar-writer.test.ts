// The tar writer alone: that our own reader reads back what it was given, and which of the ways to say it is taken. What
// other readers make of it, readers.test.ts asks.

import assert from 'node:assert/strict';
import test from 'node:test';
import { ArchiveError } from '../../src/archive/archive-error.js';
import type { TarEntry } from '../../src/archive/tar-entry.js';
import { RECORD_SIZE, entryHeader, paddingOf, storedSize, trailerOf } from '../../src/archive/tar-writer.js';
import { readArchive } from './read-archive.js';

function entryOf(facts: Partial<TarEntry>): TarEntry {
  return {
    kind: 'file',
    name: Buffer.from('./name'),
    linkName: Buffer.of(),
    mode: 0o644,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    deviceMajor: 0,
    deviceMinor: 0,
    xattrs: new Map(),
    extents: undefined,
    ...facts,
  };
}

// The types of the headers in what stands before the content.
function typesIn(header: Buffer): string {
  let types = '';
  for (let at = 0; at < header.length; at += 512) {
    types += header.toString('latin1', at + 156, at + 157);
    if ('xLK'.includes(types.at(-1) ?? '')) {
      const size = parseInt(header.toString('latin1', at + 124, at + 135), 8);
      at += size + paddingOf(size);
    } else break;
  }
  return types;
}

function assertReadBack(entry: TarEntry): void {
  const stored = entry.kind === 'file' ? storedSize(entry) : 0;
  const content = Buffer.alloc(stored + paddingOf(stored), 'c');
  const [read, ...others] = readArchive(Buffer.concat([entryHeader(entry), content]));
  assert.ok(read !== undefined && others.length === 0);
  assert.deepEqual(read, { ...entry, content: Buffer.alloc(stored, 'c') });
}

test('entryHeader() says what TarReader reads back', () => {
  assertReadBack(entryOf({ size: 1000, mode: 0o6755, uid: 1000, gid: 2000, mtimeNs: 1_355_270_400_000_000_000n }));
  assertReadBack(entryOf({ kind: 'directory', name: Buffer.from('./'), mode: 0o1777 }));
  assertReadBack(entryOf({ kind: 'symlink', linkName: Buffer.from('../there\n') }));
  assertReadBack(entryOf({ kind: 'hardlink', linkName: Buffer.from('./first') }));
  assertReadBack(entryOf({ kind: 'character', deviceMajor: 4095, deviceMinor: 1_048_575 }));
  assertReadBack(entryOf({ kind: 'block', deviceMajor: 8, deviceMinor: 1 }));
  assertReadBack(entryOf({ kind: 'fifo', mode: 0 }));
  assertReadBack(entryOf({ name: Buffer.from('./\xff\xe9 "\\\n', 'latin1'), linkName: Buffer.of() }));
});

test('entryHeader() needs one block where everything fits into it', () => {
  const header = entryHeader(entryOf({ uid: 0o7777777, gid: 0o7777777, size: 0o77777777777, mtimeNs: 0o77777777777n * 1_000_000_000n }));
  assert.equal(header.length, 512);
  assert.equal(header.toString('latin1', 257, 265), 'ustar\x0000');
  assert.equal(header.toString('latin1', 265, 329), '\0'.repeat(64)); // no names of users
}); // prettier-ignore

test('entryHeader() takes base-256 for numbers that do not fit, and for times before 1970', () => {
  for (const id of [0o10000000, 4_294_967_294]) assertReadBack(entryOf({ uid: id, gid: id }));
  const large = entryOf({ size: 2 ** 33 });
  assert.deepEqual(entryHeader(large).subarray(124, 136), Buffer.from('800000000000000200000000', 'hex'));
  for (const seconds of [-1n, -86_400n, -(2n ** 33n), 2n ** 33n]) {
    assertReadBack(entryOf({ mtimeNs: seconds * 1_000_000_000n }));
  }
});

test('entryHeader() adds nanoseconds where there are any, and rounds the header down', () => {
  for (const mtimeNs of [1n, 1_355_270_400_123_456_789n, 1_500_000_000n, -1n, -1_500_000_000n, -999_999_999n]) {
    assertReadBack(entryOf({ mtimeNs }));
    assert.equal(typesIn(entryHeader(entryOf({ mtimeNs }))), 'x0');
  }
  assert.ok(entryHeader(entryOf({ mtimeNs: 1_500_000_000n })).includes('13 mtime=1.5\n'));
});

test('entryHeader() writes attributes by name, whatever the order, and any bytes', () => {
  const values = [
    ['user.z', Buffer.of(0, 10, 61, 255)],
    ['security.capability', Buffer.alloc(20, 1)],
    ['user.a=b%3Dc', Buffer.of()],
    ['trusted.\xff', Buffer.from('v')],
  ] as const;
  const one = entryHeader(entryOf({ xattrs: new Map(values) }));
  assert.deepEqual(one, entryHeader(entryOf({ xattrs: new Map([...values].reverse()) })));
  assertReadBack(entryOf({ xattrs: new Map([...values].sort(([a], [b]) => (a < b ? -1 : 1))) }));
  assert.ok(one.includes('SCHILY.xattr.user.a%3Db%253Dc='));
});

test('entryHeader() makes records of every length', () => {
  // The length counts its own digits, so it matters where one more digit is needed.
  for (const length of [...Array(110).keys(), 960, 970, 980, 9960, 9970, 9980]) {
    assertReadBack(entryOf({ xattrs: new Map([['user.x', Buffer.alloc(length, 'v')]]) }));
  }
});

test('entryHeader() splits a long name where it can, and else adds an entry for it', () => {
  const types = (name: string): string => {
    assertReadBack(entryOf({ kind: name.endsWith('/') ? 'directory' : 'file', name: Buffer.from(name) }));
    return typesIn(entryHeader(entryOf({ name: Buffer.from(name) })));
  };
  assert.equal(types('f'.repeat(100)), '0');
  assert.equal(types('f'.repeat(101)), 'L0');
  assert.equal(types(`${'d'.repeat(155)}/${'f'.repeat(100)}`), '0');
  assert.equal(types(`${'d'.repeat(156)}/${'f'.repeat(100)}`), 'L0');
  assert.equal(types(`${'d'.repeat(155)}/${'f'.repeat(101)}`), 'L0');
  assert.equal(types(`${'d'.repeat(150)}/`), 'L0'); // the only slash is at the end
  assert.equal(types(`d/${'e'.repeat(98)}/`), '0');
  assert.equal(types(`/${'f'.repeat(100)}`), 'L0'); // an empty prefix would lose the slash
  assert.equal(types('d/'.repeat(10_000)), 'L0');
  // The beginning of it must not look like a directory.
  const name = `${'d'.repeat(49)}/${'e'.repeat(49)}/${'f'.repeat(160)}`;
  assert.equal(types(name), 'L0');
  assert.equal(
    entryHeader(entryOf({ name: Buffer.from(name), size: 5 }))
      .subarray(-512)
      .indexOf(0),
    99,
  );
});

test('entryHeader() puts the pax header first, then the long target, then the long name', () => {
  const entry = entryOf({
    kind: 'symlink',
    name: Buffer.from('n'.repeat(300)),
    linkName: Buffer.alloc(4095, 0xff),
    mtimeNs: 1n,
  });
  assertReadBack(entry);
  assert.equal(typesIn(entryHeader(entry)), 'xKL2');
  assert.equal(typesIn(entryHeader({ ...entry, kind: 'hardlink' })), 'KL1'); // its file has been described
});

test('entryHeader() puts the map of a sparse file in front of the content', () => {
  for (const name of ['./sparse', './\xff', `./${'long/'.repeat(60)}sparse`]) {
    assertReadBack(entryOf({ name: Buffer.from(name, 'latin1'), size: 5_000_000, extents: [{ offset: 4096, length: 10 }, { offset: 5_000_000, length: 0 }] }));
    assertReadBack(entryOf({ name: Buffer.from(name, 'latin1'), size: 2 ** 40, extents: [{ offset: 2 ** 40, length: 0 }] }));
  }
  const extents = Array.from({ length: 5000 }, (_, nth) => ({ offset: nth * 8192, length: 1 }));
  assertReadBack(entryOf({ size: 5000 * 8192, extents, mtimeNs: 5n }));
}); // prettier-ignore

test('entryHeader() refuses what no reader of ours would take', () => {
  const isRefusal = (message: RegExp) => (error: unknown) =>
    error instanceof ArchiveError && message.test(error.message);
  const large = Buffer.alloc(1024 * 1024, 'n');
  assert.throws(() => entryHeader(entryOf({ name: large })), isRefusal(/^its name is longer than 1048576 bytes$/));
  assert.throws(() => entryHeader(entryOf({ linkName: large })), isRefusal(/^its target is longer/));
  const xattrs = new Map([['user.x', large]]);
  assert.throws(() => entryHeader(entryOf({ xattrs })), isRefusal(/^its extended attributes are longer/));
  assertReadBack(entryOf({ name: large.subarray(1) }));
});

test('trailerOf() fills the record up, with two blocks at least', () => {
  assert.deepEqual([0, 512, RECORD_SIZE - 1024, RECORD_SIZE - 512, RECORD_SIZE].map(trailerOf), [10_240, 9728, 1024, 10_752, 10_240]);
}); // prettier-ignore
