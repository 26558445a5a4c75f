// Removing by open directories: all of it, and nothing else.

import assert from 'node:assert/strict';
import { constants, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import * as at from '../../src/linux/at.js';
import { removeAt, removeContent } from '../../src/linux/remove-at.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const { O_DIRECTORY, O_RDONLY } = constants;

function openFolder(t: TestContext): { folder: string; fd: number } {
  const folder = temporaryFolder(t);
  const fd = at.openat(at.AT_FDCWD, at.nativeName(folder), O_RDONLY | O_DIRECTORY);
  t.after(() => at.close(fd));
  return { folder, fd };
}

test('removeAt() removes a file, a link itself, or a folder with all that is in it', (t) => {
  const { folder, fd } = openFolder(t);
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(folder, 'outside/kept'), '');
  mkdirSync(join(folder, 'tree/a/b/c'), { recursive: true });
  mkdirSync(join(folder, 'tree/d'));
  for (const name of ['tree/a/f', 'tree/a/b/c/f', 'tree/\n']) writeFileSync(join(folder, name), '');
  writeFileSync(Buffer.concat([Buffer.from(join(folder, 'tree/a/')), Buffer.of(0xff)]), '');
  for (const name of ['tree/a/out', 'link']) symlinkSync(join(folder, 'outside'), join(folder, name));
  const before = readdirSync('/proc/self/fd').length;
  for (const name of ['tree', 'link']) assert.equal(removeAt(fd, at.nativeName(name)), true);
  assert.equal(removeAt(fd, at.nativeName('tree')), false);
  assert.deepEqual(readdirSync(folder), ['outside']);
  assert.ok(existsSync(join(folder, 'outside/kept')));
  assert.equal(readdirSync('/proc/self/fd').length, before);
});

test('removeContent() leaves the folder itself', (t) => {
  const { folder, fd } = openFolder(t);
  for (let nth = 0; nth < 3000; nth++) writeFileSync(join(folder, `f${nth}`), '');
  for (let nth = 0; nth < 100; nth++) mkdirSync(join(folder, `d${nth}/e`), { recursive: true });
  removeContent(fd);
  assert.deepEqual(readdirSync(folder), []);
  removeContent(fd);
});

test('removeAt() tells what could not be removed', (t) => {
  const { fd } = openFolder(t);
  assert.throws(() => removeAt(fd, at.nativeName('.')), { code: 'EINVAL' });
  const proc = at.openat(at.AT_FDCWD, at.nativeName('/proc'), O_RDONLY | O_DIRECTORY);
  t.after(() => at.close(proc));
  const before = readdirSync('/proc/self/fd').length;
  assert.throws(() => removeAt(proc, at.nativeName('version')), { code: 'EPERM' });
  assert.equal(readdirSync('/proc/self/fd').length, before);
});
