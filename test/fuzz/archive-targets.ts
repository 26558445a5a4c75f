// Fuzz targets: archives and compressed data, read, unpacked and packed again.
//
// Each archive is unpacked into a folder beside another one that must stay as it is, so whatever leaves its folder is seen.

import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { finished, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { decompress } from '../../src/archive/compression.js';
import type { TarEntry } from '../../src/archive/tar-entry.js';
import { TarReader } from '../../src/archive/tar-reader.js';
import { entryHeader } from '../../src/archive/tar-writer.js';
import { Unpacker, type WhiteoutMode } from '../../src/archive/unpack.js';
import { removeTree } from '../../src/linux/remove-tree.js';
import { pack, readArchive } from '../archive/read-archive.js';
import { archive, entry, padded, pax, withChecksum, type RawHeader } from '../archive/tar-builder.js';
import { mayFail, type Target } from './fuzz.js';
import type { Random } from './random.js';

const SECRET = 'of the host\n';
/** An archive of so few bytes makes no file system larger than this, holes aside. */
const MOST_BYTES = 64 * 1024 * 1024;

const NAMES = [
  'a', 'a/b', 'a/b/c', './a', 'a/', '/a', 'a//b', 'a/./b', '../secret', 'a/../b', '..', '.', '', 'l', 'l/x', 'l/secret', 'm/x', '.wh.a',
  'a/.wh.b', 'a/.wh..wh..opq', '.wh..wh.plnk', '.wh.', '.wh...', 'd/.wh.x/y', 'ü', 'x'.repeat(100), `${'d/'.repeat(60)}x`,
  'x'.repeat(256), 'new\nline', 'sp ace', '-n', 'dev/null',
]; // prettier-ignore
const TARGETS = [
  'a',
  'b',
  'a/b',
  '..',
  '../beside',
  '../beside/secret',
  '/',
  '/etc',
  'l',
  'm',
  '',
  '/proc/self/fd/0',
  'x'.repeat(300),
];
const TYPES = [...Array.from('00000000155552222222346LKxgSDVM7AIN'), '\0', ' '];
const KEYS = [
  'path', 'linkpath', 'size', 'uid', 'gid', 'mtime', 'atime', 'SCHILY.devmajor', 'GNU.sparse.size', 'GNU.sparse.realsize',
  'GNU.sparse.map', 'GNU.sparse.major', 'GNU.sparse.minor', 'GNU.sparse.name', 'GNU.sparse.offset', 'GNU.sparse.numbytes',
  'SCHILY.xattr.user.x', 'SCHILY.xattr.trusted.overlay.opaque', 'SCHILY.xattr.security.capability', 'LIBARCHIVE.xattr.user.y',
  'SCHILY.xattr.', 'SCHILY.acl.access', 'comment', '__proto__',
]; // prettier-ignore

/** An archive of entries that are valid, or nearly so. */
export function randomArchive(random: Random): Buffer {
  const whole = archive(...random.list(8, () => (random.once(5) ? crossing(random) : randomEntry(random))));
  return random.once(3) ? random.mutate(whole) : whole;
}

/** A link, and something that is to come to lie behind it. */
function crossing(random: Random): Buffer {
  const linkName = random.pick(['../beside', '..', '/', '.', 'a', '../beside/secret', '/proc/self/cwd']);
  const behind = random.pick(['l', 'l/x', 'l/secret', 'l/beside/x', 'l/l/x', 'l/.wh.secret', 'l/.wh..wh..opq']);
  const name = random.once(2) ? behind : 'h';
  return Buffer.concat([
    entry({ name: 'l', type: random.pick(['2', '2', '2', '1']), linkName }),
    entry({ name, type: random.pick(['0', '0', '1', '2', '5']), linkName: behind, content: '' }),
  ]);
}

function randomEntry(random: Random): Buffer {
  const content = random.once(2) ? '' : random.bytes(random.pick([3, 100, 1100]));
  const header: RawHeader = {
    name: random.once(5) ? random.text() : random.pick(NAMES),
    type: random.pick(TYPES),
    content,
    linkName: random.pick(TARGETS),
    mode: random.pick([0o644, 0o755, 0o4755, 0o1777, 0, 0o7777777]),
    uid: random.pick([0, 0, 1000, 65_534, 0o7777777]),
    mtime: random.pick([0, 1_355_270_400, 0o77777777777]),
    device: random.pick<[number, number]>([[0, 0], [1, 3], [8, 0], [0o7777777, 0o7777777]]), // prettier-ignore
  };
  if (random.once(6)) header.magic = random.pick(['ustar  \0', '\0'.repeat(8), random.text(1)]);
  if (random.once(8)) header.size = random.once(2) ? random.bytes(12) : random.below(3000);
  if (random.once(12)) header.size = Buffer.from([0x80, 0, 0, 0, ...bigEndian(random.edge())]);
  if (random.once(20)) header.size = Buffer.alloc(12, 0xff);
  const made = entry(header);
  if (random.once(10)) withChecksum(made.subarray(0, 512).fill(random.below(256), random.below(512)));
  return random.once(4) ? Buffer.concat([randomPax(random), made]) : made;
}

function randomPax(random: Random): Buffer {
  const value = (): string =>
    random.pick([
      random.text(2), String(random.edge()), random.pick(NAMES), '1', '0', '0,3', '0,1,1,1', '1.5', '-1', '1\n0\n3\n', 'x'.repeat(20_000),
    ]); // prettier-ignore
  const records = random.list(4, (): [string, string] => [
    random.once(10) ? random.text(2) : random.pick(KEYS),
    value(),
  ]);
  const block = pax(records, random.pick(['x', 'x', 'x', 'g']));
  return random.once(4) ? Buffer.concat([block.subarray(0, 512), padded(random.mutate(block.subarray(512)))]) : block;
}

function bigEndian(number: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt.asUintN(64, BigInt(Math.trunc(number))));
  return bytes;
}

/** What a reader tells of an archive that comes in pieces. */
function readAll(pieces: readonly Buffer[]): { told: unknown[]; error: string | undefined } {
  const told: unknown[] = [];
  let content: Buffer = Buffer.of();
  const reader = new TarReader({
    begin: (each) => told.push({ ...each, xattrs: [...each.xattrs] }),
    write: (data) => (content = Buffer.concat([content, data])),
    finish: () => told.push(content.toString('hex')),
  });
  const error = mayFail(ArchiveError, () => {
    for (const piece of pieces) reader.push(piece);
    reader.end();
  });
  return { told, error: error?.message };
}

const tarReader: Target = {
  name: 'tar-reader',
  run(random) {
    const bytes = randomArchive(random);
    const { told, error } = readAll([bytes]);
    const inPieces = readAll(random.split(bytes));
    assert.equal(inPieces.error, error);
    assert.deepEqual(inPieces.told, told, 'what is read depends on how the bytes arrive');
  },
};

const unpack: Target = {
  name: 'unpack',
  async run(random) {
    const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-fuzz-'));
    try {
      const [layer, beside] = [join(folder, 'layer'), join(folder, 'beside')];
      mkdirSync(beside);
      writeFileSync(join(beside, 'secret'), SECRET, { mode: 0o600 });
      const before = lstatSync(join(beside, 'secret'), { bigint: true });
      const modes: readonly WhiteoutMode[] = ['keep', 'keep', 'apply', 'overlay'];
      const mode = random.pick(modes);
      const openBefore = readdirSync('/proc/self/fd').length;
      const error = tryUnpack(layer, randomArchive(random), mode);
      assert.equal(readdirSync('/proc/self/fd').length, openBefore, 'descriptors are left open');
      const after = lstatSync(join(beside, 'secret'), { bigint: true });
      assert.deepEqual(
        readdirSync(folder).filter((name) => name !== 'layer'),
        ['beside'],
      );
      assert.deepEqual(readdirSync(beside), ['secret']);
      assert.deepEqual(
        [after.nlink, after.mode, after.uid, after.ctimeNs],
        [1n, before.mode, before.uid, before.ctimeNs],
      );
      assert.equal(readFileSync(join(beside, 'secret'), 'utf8'), SECRET);
      if (error !== undefined || mode !== 'keep') return;
      assert.ok(sizeOf(layer) <= MOST_BYTES, 'a small archive fills the disk');
      // What was accepted is packed and unpacked without a loss.
      const packed = pack({ root: layer, form: 'aufs' }, 4096);
      const second = join(folder, 'second');
      assert.equal(tryUnpack(second, packed, 'keep')?.message, undefined);
      assert.ok(pack({ root: second, form: 'aufs' }).equals(packed), 'an archive of what was unpacked is another one');
    } finally {
      await removeTree(folder);
    }
  },
};

function tryUnpack(folder: string, bytes: Buffer, mode: WhiteoutMode): Error | undefined {
  const unpacker = new Unpacker(folder, mode);
  try {
    return mayFail(ArchiveError, () => {
      const reader = new TarReader(unpacker);
      reader.push(bytes);
      reader.end();
      unpacker.end();
    });
  } finally {
    unpacker.close();
  }
}

/** What the files below a folder take of the disk, in bytes. */
function sizeOf(folder: string | Buffer): number {
  let sum = 0;
  for (const name of readdirSync(folder, { encoding: 'buffer' })) {
    const path = Buffer.concat([Buffer.from(folder), Buffer.from('/'), name]);
    const stat = lstatSync(path);
    sum += stat.isDirectory() ? sizeOf(path) : stat.blocks * 512;
  }
  return sum;
}

const tarWriter: Target = {
  name: 'tar-writer',
  run(random) {
    const made = randomTarEntry(random);
    let bytes: Buffer = Buffer.of();
    const error = mayFail(ArchiveError, () => {
      const content = Buffer.alloc(made.kind === 'file' ? made.size : 0, 'c');
      bytes = archive(entryHeader(made), padded(content));
    });
    if (error !== undefined) return;
    const [read, ...more] = readArchive(bytes);
    assert.equal(more.length, 0);
    const { content, ...fields } = read ?? assert.fail('no entry is read');
    assert.equal(content.length, made.kind === 'file' ? made.size : 0);
    assert.deepEqual({ ...fields, xattrs: [...fields.xattrs].sort() }, { ...made, xattrs: [...made.xattrs].sort() });
  },
};

/** An entry such as a file system can have. */
function randomTarEntry(random: Random): TarEntry {
  const kind = random.pick(['file', 'directory', 'symlink', 'hardlink', 'character', 'fifo'] as const);
  const name = (length: number): Buffer => {
    const parts = random.list(5, () =>
      Buffer.from(random.bytes(length).map((byte) => (byte === 0 || byte === 0x2f ? 1 : byte))),
    );
    const joined = Buffer.concat(
      parts.filter((part) => part.length > 0).flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part])),
    );
    return joined.length === 0 ? Buffer.from('x') : joined;
  };
  const isLink = kind === 'symlink' || kind === 'hardlink';
  const isSecondName = kind === 'hardlink'; // the file has been described before
  const seconds = BigInt(random.pick([0, 1, -1, 1_355_270_400, 8_589_934_591, 8_589_934_592]));
  const xattr = (): [string, Buffer] => [
    `user.${random.bytes(6).toString('latin1').replaceAll('\0', '')}`,
    random.bytes(20),
  ];
  const path = name(random.pick([10, 90, 200]));
  return {
    kind,
    name: kind === 'directory' ? Buffer.concat([path, Buffer.from('/')]) : path,
    linkName: isLink ? name(random.pick([10, 150])) : Buffer.of(),
    mode: random.below(0o10000),
    uid: random.pick([0, 1000, 0o7777777, 0o10000000, 2 ** 32 - 2]),
    gid: random.pick([0, 1000, 0o7777777, 0o10000000, 2 ** 32 - 2]),
    size: kind === 'file' ? random.below(2000) : 0,
    mtimeNs: seconds * 1_000_000_000n + (isSecondName ? 0n : BigInt(random.pick([0, 0, 5]))),
    deviceMajor: kind === 'character' ? random.below(4096) : 0,
    deviceMinor: kind === 'character' ? random.below(2 ** 20) : 0,
    xattrs: new Map(isSecondName ? [] : random.list(2, xattr)),
    extents: undefined,
  };
}

const compression: Target = {
  name: 'compression',
  async run(random) {
    const plain = Buffer.concat([randomArchive(random), Buffer.alloc(random.pick([0, 100_000]))]);
    const packed = compress(random, plain);
    const parts = random.once(4) ? [packed, random.once(2) ? packed : random.bytes(30)] : [packed];
    const whole = Buffer.concat(parts);
    const isIntact = !random.once(2);
    const input = isIntact ? whole : random.mutate(whole);
    const source = Readable.from(random.split(input), { objectMode: false });
    const closed = new Promise((resolve) => finished(source, resolve));
    let length = 0;
    try {
      const stream = await decompress(source);
      for await (const chunk of stream) {
        length += (chunk as Buffer).length;
        if (random.once(300)) break; // a reader that has had enough
      }
      stream.destroy();
    } catch (error) {
      mayFail(ArchiveError, () => {
        throw error;
      });
      assert.ok(!isIntact || parts.length > 1, `intact data is refused: ${String(error)}`);
    }
    source.destroy();
    await closed;
    assert.ok(length <= 1000 * (plain.length + 1_000_000));
  },
};

function compress(random: Random, plain: Buffer): Buffer {
  const program = random.pick(['gzip', 'gzip', 'gzip', 'none', 'bzip2', 'xz', 'zstd']);
  if (program === 'none') return plain;
  if (program === 'gzip') return gzipSync(plain, { level: random.below(10) });
  return spawnSync(program, ['-c'], { input: plain, maxBuffer: 1 << 26 }).stdout;
}

/** See the head of the file. */
export const ARCHIVE_TARGETS: readonly Target[] = [tarReader, unpack, tarWriter, compression];
