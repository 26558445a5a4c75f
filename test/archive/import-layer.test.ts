// A whole import: the same tree as was packed, whoever packed it; the digest; and a clean end whatever happens.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmdirSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { importLayer, type ImportedLayer } from '../../src/archive/import-layer.js';
import { openDescriptors } from '../open-descriptors.js';
import { makeSampleTree, type SampleOptions } from './sample-tree.js';
import { archive, entry, headerBlock, temporaryFolder } from './tar-builder.js';
import { treeOf, type TreeOptions } from './tree.js';

const MAKE_TAR = fileURLToPath(new URL('../../../test/archive/make-tar.py', import.meta.url));
const MAX_TAR_SIZE = 1 << 27;

interface Packer extends TreeOptions, SampleOptions {
  /** the program and its arguments; FOLDER stands for the folder to be packed, MAKE_TAR for the script beside this file */
  command: string;
  keepsHoles?: boolean;
}

const whole = { hasLongNames: true, hasDevices: true };
const plain = { ...whole, wholeSeconds: true, withoutXattrs: true };
const gnuPax = 'tar --xattrs --xattrs-include=* --format=posix -C FOLDER -c';
const PACKERS: Record<string, Packer> = {
  'GNU tar, gnu': { ...plain, command: 'tar --format=gnu -C FOLDER -c .' },
  'GNU tar, gnu, sparse': { ...plain, command: 'tar --format=gnu -C FOLDER -cS .', keepsHoles: true },
  'GNU tar, ustar': { ...plain, command: 'tar --format=ustar -C FOLDER -c .', hasLongNames: false },
  'GNU tar, v7': { ...plain, command: 'tar --format=v7 -C FOLDER -c .', hasLongNames: false, hasDevices: false },
  'GNU tar, pax': { ...whole, command: `${gnuPax} .` },
  'GNU tar, pax, sparse 0.0': { ...whole, command: `${gnuPax} -S --sparse-version=0.0 .`, keepsHoles: true },
  'GNU tar, pax, sparse 0.1': { ...whole, command: `${gnuPax} -S --sparse-version=0.1 .`, keepsHoles: true },
  'GNU tar, pax, sparse 1.0': { ...whole, command: `${gnuPax} -S --sparse-version=1.0 .`, keepsHoles: true },
  'Python, ustar': { ...plain, command: 'python3 MAKE_TAR ustar FOLDER', hasLongNames: false },
  'Python, gnu': { ...plain, command: 'python3 MAKE_TAR gnu FOLDER' },
  'Python, pax': { ...plain, command: 'python3 MAKE_TAR pax FOLDER' }, // its times are floating point
  busybox: { ...plain, command: 'busybox tar -C FOLDER -c -f - .' },
};

for (const [name, packer] of Object.entries(PACKERS)) {
  test(`importLayer() makes the tree that was packed by ${name}`, async (t) => {
    const folder = temporaryFolder(t);
    const source = join(folder, 'source');
    const layer = join(folder, 'layer');
    mkdirSync(source);
    makeSampleTree(source, packer);
    const paths: Record<string, string> = { FOLDER: source, MAKE_TAR };
    const [program = '', ...args] = packer.command.split(' ').map((word) => paths[word] ?? word);
    const tar = execFileSync(program, args, { maxBuffer: MAX_TAR_SIZE });

    const result = await importLayer(bytesOf(tar), layer);

    assert.deepEqual(treeOf(layer, packer), treeOf(source, packer));
    assert.equal(result.digest, createHash('sha256').update(tar).digest('hex'));
    assert.equal(result.bytes, tar.length);
    if (packer.keepsHoles === true) assert.ok(statSync(join(layer, 'sparse')).blocks < 1024);
  });
}

function bytesOf(...parts: Buffer[]): Readable {
  return Readable.from(parts, { objectMode: false });
}

async function assertRejects(source: Readable, layer: string, message: RegExp): Promise<void> {
  const isExpected = (error: unknown): boolean => error instanceof Error && message.test(error.message);
  const before = openDescriptors('self');
  await assert.rejects(importLayer(source, layer), isExpected);
  assert.ok(source.destroyed);
  assert.equal(openDescriptors('self'), before);
}

// A file system of 1 MiB, gone after the test.
function smallFilesystem(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', folder]);
  t.after(() => {
    execFileSync('umount', [folder]);
    rmdirSync(folder);
  });
  return folder;
}

test('importLayer() counts and hashes what follows the end of the archive too', async (t) => {
  const tar = Buffer.concat([archive(entry({ name: 'a' }), entry({ name: 'b' })), Buffer.alloc(7777, 'x')]);
  const expected: ImportedLayer = {
    digest: createHash('sha256').update(tar).digest('hex'),
    entries: 2,
    bytes: tar.length,
    hasWhiteoutNames: false,
  };
  assert.deepEqual(await importLayer(bytesOf(tar), temporaryFolder(t)), expected);
  assert.deepEqual(await importLayer(bytesOf(gzipSync(tar)), temporaryFolder(t)), expected);
  const pieces = Array.from({ length: Math.ceil(tar.length / 100) }, (_, at) => tar.subarray(at * 100, at * 100 + 100));
  assert.deepEqual(await importLayer(bytesOf(...pieces), temporaryFolder(t)), expected);
});

test('importLayer() leaves the chunks, the source and its listeners as they were', async (t) => {
  const tar = archive(entry({ name: 'a', content: 'x'.repeat(100_000) }));
  const copy = Buffer.from(tar);
  const source = new PassThrough({ emitClose: true, autoDestroy: false });
  source.end(tar);
  await importLayer(source, temporaryFolder(t));
  assert.ok(tar.equals(copy));
  assert.ok(!source.destroyed);
  assert.equal(source.listenerCount('error') + source.listenerCount('readable') + source.listenerCount('data'), 0);
});

test('importLayer() names the entry that a full disk has no room for', async (t) => {
  const small = smallFilesystem(t);
  const tar = archive(
    entry({ name: 'fits', content: 'x' }),
    entry({ name: 'too/large', content: Buffer.alloc(8 << 20) }),
  );
  const before = openDescriptors('self');
  const error: unknown = await importLayer(bytesOf(tar), join(small, 'layer')).catch((reason: unknown) => reason);
  assert.ok(error instanceof ArchiveError);
  assert.equal(error.code, 'ENOSPC');
  assert.match(error.message, /^Cannot unpack "too\/large": .*no space left on device/);
  assert.equal(openDescriptors('self'), before);
});

test('importLayer() rejects what is no archive, is cut off or is damaged', async (t) => {
  const folder = temporaryFolder(t);
  const tar = archive(entry({ name: 'a', content: 'x'.repeat(500_000) }), entry({ name: 'b' }));
  await assertRejects(bytesOf(), folder, /^Cannot read the archive: it is empty$/);
  await assertRejects(bytesOf(Buffer.from('garbage')), folder, /no tar archive/);
  await assertRejects(bytesOf(Buffer.alloc(3_000_000, 'garbage')), folder, /no tar archive/);
  await assertRejects(bytesOf(tar.subarray(0, 400_000)), folder, /cut off at byte 400000/);
  await assertRejects(
    bytesOf(gzipSync(tar).subarray(0, -20)),
    folder,
    /^Cannot decompress the archive: gzip: unexpected end of file$/,
  );
  await assertRejects(bytesOf(gzipSync(Buffer.from('garbage'))), folder, /no tar archive/);
  await assertRejects(bytesOf(archive(entry({ name: '../x' }))), folder, /could lead out of the layer/);
  await assertRejects(bytesOf(headerBlock({ name: 'a', type: 'x' }, 2 ** 31)), folder, /too large/);
});

test('importLayer() rejects at once when the worker fails, though the sender is silent', async (t) => {
  const source = new PassThrough();
  source.write(Buffer.alloc(4096, 'garbage'));
  await assertRejects(source, temporaryFolder(t), /no tar archive/);
});

test('importLayer() rejects when the directory cannot be made', async () => {
  await assertRejects(new PassThrough().end(archive(entry({ name: 'a' }))), '/proc/nothing/layer', /ENOENT/);
});

test('importLayer() rejects when the source fails or goes away', async (t) => {
  const folder = temporaryFolder(t);
  for (const first of [undefined, archive(entry({ name: 'a', content: 'x'.repeat(9000) })).subarray(0, 5000)]) {
    const failing = new PassThrough();
    if (first !== undefined) failing.write(first);
    setImmediate(() => failing.destroy(new Error('connection lost')));
    await assertRejects(failing, folder, /^connection lost$/);
    const gone = new PassThrough();
    if (first !== undefined) gone.write(first);
    setImmediate(() => gone.destroy());
    await assertRejects(gone, folder, /premature close/i);
  }
});

test('importLayer() takes no more from the source than it can hand on', async (t) => {
  let given = 0;
  const header = headerBlock({ name: 'endless' }, 2 ** 32);
  const source = new Readable({
    read() {
      given += 65_536;
      this.push(given === 65_536 ? Buffer.concat([header, Buffer.alloc(65_536 - 512)]) : Buffer.alloc(65_536));
    },
  });
  await assertRejects(source, join(smallFilesystem(t), 'layer'), /no space left/);
  assert.ok(given < 8 << 20, `${given} bytes were taken`);
});

test('importLayer() runs several imports side by side', async (t) => {
  const folder = temporaryFolder(t);
  const imports = Array.from({ length: 8 }, async (_, nth) => {
    const tar = archive(...Array.from({ length: 50 }, (_, at) => entry({ name: `d${at}/f`, content: `${nth}` })));
    return (await importLayer(bytesOf(tar), join(folder, `${nth}`))).entries;
  });
  assert.deepEqual(await Promise.all(imports), Array<number>(8).fill(50));
});
