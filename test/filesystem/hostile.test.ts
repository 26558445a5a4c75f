// Layers and trees that nobody would make by accident, seen by each driver that works everywhere.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { walkTree } from '../../src/archive/walk-tree.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { Layered, TESTED_DRIVERS } from './layered.js';

const BELOW = ['d/one', '-d/one', '.d/one', 'z/one', 'o/one', 'k/one', 'k/two', '-f', 'f', 'l', 'p', 'a/b/c', 'kept'];

function write(folder: string, names: readonly string[], content: string): void {
  for (const name of names) {
    if (name.includes('/')) fs.mkdirSync(join(folder, name, '..'), { recursive: true });
    fs.writeFileSync(join(folder, name), content);
  }
}

for (const driver of TESTED_DRIVERS) {
  test(`a layer of odd deletions hides the same names on ${driver.name}`, async (t) => {
    const layered = new Layered(t);
    const below = layered.layer((path) => write(path, BELOW, 'below'));
    const above = layered.layer((path) => {
      // Folders and files, and beside them their own deletions, which are about the layers below.
      write(path, ['d/two', '-d/two', '.d/two', 'z/two', 'o/two', '-f', 'f', 'a/b/two'], 'above');
      write(path, ['.wh.d', '.wh.-d', '.wh..d', '.wh.z', '.wh.-f', '.wh.f', 'a/.wh.b', 'o/.wh..wh..opq'], '');
      // What aufs keeps for itself, and deletions that are no empty files.
      write(path, ['.wh..wh.aufs', '.wh..wh.plnk/x', 'o/.wh..wh.orph/x', '.wh.k/three', '.wh.nosuch'], '');
      fs.symlinkSync('/etc', join(path, '.wh.l'));
      execFileSync('mkfifo', [join(path, '.wh.p')]);
    });
    const filesystem = layered.filesystem(driver, [above, below]);
    await filesystem.mount();
    try {
      const names = execFileSync('find', ['.', '-type', 'f', '-printf', '%P %s\n'], {
        cwd: filesystem.rootfs,
        env: {},
      });
      const lines = names.toString().trimEnd().split('\n').sort();
      assert.deepEqual(
        lines,
        ['-d/two 5', '-f 5', '.d/two 5', 'a/b/two 5', 'd/two 5', 'f 5', 'kept 5', 'o/two 5', 'z/two 5'].sort(),
      );
      assert.equal(fs.readFileSync(join(filesystem.rootfs, '-f'), 'utf8'), 'above');
      assert.deepEqual(
        fs.readdirSync(filesystem.rootfs).sort(),
        ['-d', '-f', '.d', 'a', 'd', 'f', 'kept', 'o', 'z'].sort(),
      );
      assert.deepEqual([...(await filesystem.changes())], []);
    } finally {
      await filesystem.umount();
    }
  });

  test(`Filesystem.changes() on ${driver.name}: a name that a layer has as a deletion is new`, async (t) => {
    const layered = new Layered(t);
    const below = layered.layer((path) => write(path, ['gone', 'kept'], 'x'));
    const above = layered.layer((path) => write(path, ['.wh.gone', '.wh.d/x'], ''));
    const filesystem = layered.filesystem(driver, [above, below]);
    await filesystem.mount();
    try {
      write(filesystem.rootfs, ['.wh.gone', '.wh.d/x'], 'y');
      const changes = [...(await filesystem.changes())].map(({ kind, path }) => `${kind} ${path}`);
      assert.deepEqual(changes, ['A /.wh.d', 'A /.wh.d/x', 'A /.wh.gone']);
    } finally {
      await filesystem.umount();
    }
  });
}

test('walkTree() passes over a folder that is removed when it is about to be read', (t) => {
  const root = join(temporaryFolder(t), 'root');
  fs.mkdirSync(root);
  const walk = walkTree(root, 'plain');
  assert.equal(walk.next().value?.path, '');
  fs.rmdirSync(root);
  assert.equal(walk.next().done, true);
});

test('isInLayers() opens no pipe and no device that has taken the place of a file', (t) => {
  const folder = temporaryFolder(t);
  fs.mkdirSync(join(folder, 'layer'));
  fs.mkdirSync(join(folder, 'tree'));
  fs.writeFileSync(join(folder, 'layer/name'), '');
  execFileSync('mkfifo', [join(folder, 'tree/name')]);
  const module = fileURLToPath(new URL('../../src/filesystem/same-file.js', import.meta.url));
  const code = `import { isInLayers } from ${JSON.stringify(module)};
    import { openSync } from 'node:fs';
    const directory = openSync(${JSON.stringify(join(folder, 'tree'))}, 'r');
    const name = Buffer.from('name\\0');
    console.log(isInLayers({ path: 'name', directory, name, kind: 'file', depth: 0 }, [${JSON.stringify(join(folder, 'layer'))}]));`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 60_000 });
  assert.equal(stdout.toString(), 'false\n');
});
