// Room for a file that is not that long yet: taken on the disk at once, and given back, on a disk and in memory.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createWithRoom, giveRoomBack } from '../../src/linux/preallocate.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const ROOM_BYTES = 64 * 1024;
const TEXT = 'x'.repeat(5_000);

const allocatedBytes = (path: string): number => statSync(path).blocks * 512;

function tmpfs(t: TestContext): string {
  const folder = join(temporaryFolder(t), 'memory'); // which unmounts what is below it
  mkdirSync(folder);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1M', 'tmpfs', folder]);
  return folder;
}

for (const [name, folderOf] of [
  ['a disk', temporaryFolder],
  ['tmpfs', tmpfs],
] as const) {
  test(`createWithRoom() takes the room at once, giveRoomBack() keeps what is written alone (${name})`, (t) => {
    const path = join(folderOf(t), 'file');
    createWithRoom(path, ROOM_BYTES, 0o600);
    assert.ok(allocatedBytes(path) >= ROOM_BYTES, `${allocatedBytes(path)} bytes`);
    assert.equal(statSync(path).size, 0);
    writeFileSync(path, TEXT, { flag: 'a' });
    giveRoomBack(path, ROOM_BYTES);
    assert.ok(allocatedBytes(path) < ROOM_BYTES / 2, `${allocatedBytes(path)} bytes`);
    assert.equal(readFileSync(path, 'utf8'), TEXT);
  });
}

test('giveRoomBack() leaves a file alone that has become longer than its room', (t) => {
  const path = join(temporaryFolder(t), 'file');
  createWithRoom(path, 1, 0o600);
  writeFileSync(path, TEXT, { flag: 'a' });
  giveRoomBack(path, 1);
  assert.equal(readFileSync(path, 'utf8'), TEXT);
});

test('createWithRoom() says where there is no room', (t) => {
  const path = join(tmpfs(t), 'file');
  assert.throws(() => createWithRoom(path, 2 * 1024 * 1024, 0o600), { code: 'ENOSPC' });
});
