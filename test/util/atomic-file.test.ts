// Replacing files: the whole old or the whole new content, and nothing half-made beside it.

import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import {
  isTemporary,
  removeTemporaries,
  replaceFileUnsynced,
  syncPath,
  temporaryName,
  writeFileAtomically,
  writeNewFile,
} from '../../src/util/atomic-file.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('writeFileAtomically() makes a file with its mode, whatever the umask', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  await writeFileAtomically(path, 'größe\n', 0o666);
  assert.equal(readFileSync(path, 'utf8'), 'größe\n');
  assert.equal(statSync(path).mode & 0o7777, 0o666);
});

for (const replace of [writeFileAtomically, replaceFileUnsynced]) {
  test(`${replace.name}() puts another file in the place of the old one and leaves nothing beside it`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'file');
    writeFileSync(path, 'a longer old content', { mode: 0o644 });
    const before = statSync(path).ino;
    await Promise.resolve(replace(path, 'new', 0o600));
    assert.equal(readFileSync(path, 'utf8'), 'new');
    assert.equal(statSync(path).mode & 0o7777, 0o600);
    assert.notEqual(statSync(path).ino, before, 'whoever has the old one open reads the old content');
    assert.deepEqual(readdirSync(folder), ['file']);
  });

  test(`${replace.name}() leaves the old one and no temporary where it fails, and names the file`, async (t) => {
    const folder = temporaryFolder(t);
    const path = join(folder, 'taken');
    mkdirSync(join(path, 'full'), { recursive: true }); // a folder cannot be replaced by a file
    const failing = async (): Promise<void> => replace(path, 'new', 0o600);
    await assert.rejects(failing, (error: Error) => {
      assert.match(error.message, new RegExp(`^Cannot write ${path}: `));
      assert.ok(error.cause instanceof Error);
      return true;
    });
    assert.deepEqual(readdirSync(folder), ['taken']);
    assert.deepEqual(readdirSync(path), ['full']);
  });
}

test('writeFileAtomically() names the file where its folder is missing', async (t) => {
  const path = join(temporaryFolder(t), 'missing', 'file');
  await assert.rejects(writeFileAtomically(path, 'x', 0o600), new RegExp(`Cannot write ${path}: ENOENT`));
});

test('writeFileAtomically() lets several at once end with one of them, whole', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'file');
  const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(10_000));
  await Promise.all(contents.map((content) => writeFileAtomically(path, content, 0o600)));
  assert.ok(contents.includes(readFileSync(path, 'utf8')));
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('writeNewFile() does not touch a file that is there', async (t) => {
  const path = join(temporaryFolder(t), 'file');
  writeFileSync(path, 'old');
  await assert.rejects(writeNewFile(path, 'new', 0o600), { code: 'EEXIST' });
  assert.equal(readFileSync(path, 'utf8'), 'old');
});

test('temporaryName() is recognised, keeps the final name, and is another one each time', () => {
  const names = [temporaryName('config.json'), temporaryName('config.json')];
  assert.notEqual(names[0], names[1]);
  for (const name of names) {
    assert.ok(isTemporary(name));
    assert.match(name, /config\.json$/);
  }
  for (const name of ['config.json', 'tmp-1', '.tmp', 'x.tmp-1', '.wh..tmp-1']) assert.ok(!isTemporary(name), name);
});

test('removeTemporaries() removes files and folders that are half-made, and nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const [file, tree] = [temporaryName('file'), temporaryName('tree')];
  writeFileSync(join(folder, file), '');
  mkdirSync(join(folder, tree, 'deep'), { recursive: true });
  writeFileSync(join(folder, tree, 'deep', 'x'), '');
  writeFileSync(join(folder, 'kept'), '');
  mkdirSync(join(folder, 'tmp-kept'));
  const remove = (path: string): Promise<void> => rm(path, { recursive: true });
  assert.deepEqual((await removeTemporaries(folder, remove)).sort(), [file, tree].sort());
  assert.deepEqual(readdirSync(folder).sort(), ['kept', 'tmp-kept']);
  assert.deepEqual(await removeTemporaries(folder, remove), []);
});

test('syncPath() rejects for a folder that is missing', async (t) => {
  const folder = temporaryFolder(t);
  await syncPath(folder);
  await assert.rejects(syncPath(join(folder, 'missing')), { code: 'ENOENT' });
});
