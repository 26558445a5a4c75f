// Which pieces of a file are said to have content, on the file system of the temporary folder (ext4, xfs, btrfs and tmpfs know holes).

import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { findExtents } from '../../src/archive/find-holes.js';
import type { Extent } from '../../src/archive/tar-entry.js';
import { temporaryFolder } from './tar-builder.js';

const MIB = 1024 * 1024;

// A file of `size` bytes with a page of content at each of `offsets`.
function sparseFile(t: TestContext, size: number, offsets: readonly number[]): number {
  const fd = openSync(join(temporaryFolder(t), 'sparse'), 'w+');
  t.after(() => closeSync(fd));
  for (const offset of offsets) writeSync(fd, Buffer.alloc(4096, 'c'), 0, 4096, offset);
  ftruncateSync(fd, size);
  return fd;
}

function assertCovered(extents: readonly Extent[], offsets: readonly number[]): void {
  for (const offset of offsets) {
    assert.ok(extents.some((extent) => extent.offset <= offset && extent.offset + extent.length >= offset + 4096));
  }
}

test('findExtents() finds the content, and ends with an empty piece where a hole is the end', (t) => {
  const fd = sparseFile(t, 10 * MIB, [0, 4 * MIB]);
  assert.deepEqual(findExtents(fd, 10 * MIB), [
    { offset: 0, length: 4096 },
    { offset: 4 * MIB, length: 4096 },
    { offset: 10 * MIB, length: 0 },
  ]);
});

test('findExtents() adds no empty piece where content is the end', (t) => {
  const fd = sparseFile(t, 3 * MIB, [3 * MIB - 4096]);
  assert.deepEqual(findExtents(fd, 3 * MIB), [{ offset: 3 * MIB - 4096, length: 4096 }]);
});

test('findExtents() of a file that is one hole', (t) => {
  assert.deepEqual(findExtents(sparseFile(t, 2 * MIB, []), 2 * MIB), [{ offset: 2 * MIB, length: 0 }]);
});

test('findExtents() takes no notice of holes of 1 MiB together', (t) => {
  assert.equal(findExtents(sparseFile(t, MIB, []), MIB), undefined);
  assert.equal(findExtents(sparseFile(t, MIB + 4096, [0]), MIB + 4096), undefined);
  assert.notEqual(findExtents(sparseFile(t, MIB + 8192, [0]), MIB + 8192), undefined);
  assert.equal(findExtents(sparseFile(t, 0, []), 0), undefined);
});

test('findExtents() keeps to the size that it is given, whatever the file has by now', (t) => {
  const fd = sparseFile(t, 10 * MIB, [0, 8 * MIB]);
  assert.deepEqual(findExtents(fd, 4 * MIB), [
    { offset: 0, length: 4096 },
    { offset: 4 * MIB, length: 0 },
  ]);
  assert.deepEqual(findExtents(fd, 20 * MIB)?.at(-1), { offset: 20 * MIB, length: 0 });
});

test('findExtents() fills the smallest gaps where the pieces are too many', (t) => {
  const offsets = Array.from({ length: 100 }, (_, nth) => nth * 16_384 + (nth >= 50 ? 50 * MIB : 0));
  const fd = sparseFile(t, 100 * MIB, offsets);
  assert.equal(findExtents(fd, 100 * MIB)?.length, 101);
  const few = findExtents(fd, 100 * MIB, 10) ?? [];
  assert.ok(few.length <= 10, `${few.length} pieces`);
  assertCovered(few, offsets);
  assert.ok(few.reduce((sum, { length }) => sum + length, 0) < 2 * MIB); // the large gap is still a hole
  assert.equal(few.at(-1)?.length, 0);
});
