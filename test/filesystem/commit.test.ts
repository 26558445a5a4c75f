// A container's changes as a layer, and rw under another driver: the tree stays the same to the last bit.

import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import type { Filesystem } from '../../src/filesystem/filesystem.js';
import { makeSampleTree } from '../archive/sample-tree.js';
import { treeOf } from '../archive/tree.js';
import { openDescriptors } from '../open-descriptors.js';
import { Layered, TESTED_DRIVERS } from './layered.js';

const SAMPLE = { hasLongNames: true, hasDevices: true };

/** The bottom layer: a bit of everything, without the whiteout that an archive may hold. */
function fillBottom(path: string): void {
  makeSampleTree(path, SAMPLE);
  fs.unlinkSync(join(path, 'folder/.wh.gone'));
  for (const name of ['kept', 'remade', 'deleted', 'replaced']) {
    fs.mkdirSync(join(path, 'dirs', name), { recursive: true });
    fs.writeFileSync(join(path, 'dirs', name, 'file'), name);
  }
}

/** Changes of every kind. */
function change(root: string): void {
  fs.mkdirSync(join(root, 'added'));
  makeSampleTree(join(root, 'added'), SAMPLE);
  fs.unlinkSync(join(root, 'added/folder/.wh.gone'));
  fs.rmSync(join(root, 'dirs/deleted'), { recursive: true });
  fs.rmSync(join(root, 'dirs/remade'), { recursive: true });
  fs.mkdirSync(join(root, 'dirs/remade/sub'), { recursive: true, mode: 0o700 });
  fs.rmSync(join(root, 'dirs/replaced'), { recursive: true });
  fs.writeFileSync(join(root, 'dirs/replaced'), 'a file now');
  fs.unlinkSync(join(root, 'plain')); // its second name stays
  fs.chmodSync(join(root, 'block'), 0o640);
  fs.utimesSync(join(root, 'dirs/kept'), 1, 2);
}

async function mountedTree(filesystem: Filesystem): Promise<Record<string, string>> {
  await filesystem.ensureMounted();
  return treeOf(filesystem.rootfs);
}

for (const driver of TESTED_DRIVERS) {
  test(`Filesystem.commit() on ${driver.name}: the layer over the others is the tree that was committed`, async (t) => {
    const layered = new Layered(t);
    const bottom = layered.layer(fillBottom);
    const filesystem = layered.filesystem(driver, [bottom]);
    await filesystem.mount();
    change(filesystem.rootfs);
    const running = await filesystem.commit((archive) => layered.importLayer(archive));
    const expected = treeOf(filesystem.rootfs);
    await filesystem.umount();
    const stopped = await filesystem.commit((archive) => layered.importLayer(archive));
    assert.equal(stopped.digest, running.digest, 'the id depends on the content only');
    for (const other of TESTED_DRIVERS) {
      const above = layered.filesystem(other, [running.path, bottom]);
      assert.deepEqual(await mountedTree(above), expected, `mounted with ${other.name}`);
      assert.deepEqual([...(await above.changes())], []);
      await above.umount();
    }
  });

  test(`Filesystem.commit() on ${driver.name}: on top of a commit, deletions and new directories in deleted ones hold`, async (t) => {
    const layered = new Layered(t);
    let layers = [layered.layer(fillBottom)];
    const acts: ((root: string) => void)[] = [
      change,
      (root) => fs.mkdirSync(join(root, 'dirs/deleted')), // was deleted by the layer below: nothing may come back
      (root) => fs.rmSync(join(root, 'added'), { recursive: true }),
      () => undefined, // a commit without a change, twice: the same layer
      () => undefined,
      (root) => fs.writeFileSync(join(root, 'dirs/remade/file'), 'back'),
    ];
    for (const act of acts) {
      const filesystem = layered.filesystem(driver, layers);
      await filesystem.mount();
      act(filesystem.rootfs);
      const expected = treeOf(filesystem.rootfs);
      const { path } = await filesystem.commit((archive) => layered.importLayer(archive));
      await filesystem.umount();
      layers = [path, ...layers];
      const next = layered.filesystem(driver, layers);
      assert.deepEqual(await mountedTree(next), expected);
      await next.umount();
    }
    assert.equal(layers[1], layers[2]);
  });

  test(`Filesystem.commit() on ${driver.name} refuses a real name that would be a deletion`, async (t) => {
    const layered = new Layered(t);
    const filesystem = layered.filesystem(driver, [layered.layer(fillBottom)]);
    await filesystem.mount();
    fs.writeFileSync(join(filesystem.rootfs, 'dirs/.wh.kept'), '');
    await assert.rejects(
      filesystem.commit((archive) => buffer(archive)),
      /^ArchiveError: .*"dirs\/\.wh\.kept".*/,
    );
    fs.unlinkSync(join(filesystem.rootfs, 'dirs/.wh.kept'));
    await filesystem.commit((archive) => buffer(archive)); // nothing is stuck
    await filesystem.umount();
  });

  test(`Filesystem.tar() on ${driver.name}: the archive makes the identical tree`, async (t) => {
    const layered = new Layered(t);
    const filesystem = layered.filesystem(driver, [layered.layer(fillBottom)]);
    await filesystem.mount();
    change(filesystem.rootfs);
    fs.mkdirSync(join(filesystem.rootfs, 'proc')); // as LXC would
    const { path } = await layered.importLayer(await filesystem.tar());
    fs.rmdirSync(join(filesystem.rootfs, 'proc'));
    const again = layered.filesystem(driver, [path]);
    const [copy, original] = [await mountedTree(again), treeOf(filesystem.rootfs)];
    // The root's own time has changed with the folder that was made and removed.
    for (const tree of [copy, original]) delete tree['.'];
    assert.deepEqual(copy, original);
    await again.umount();
    await filesystem.umount();
  });

  test(`Filesystem.tar() on ${driver.name}: unmounted before it is read, it is whole or fails`, async (t) => {
    const layered = new Layered(t);
    const filesystem = layered.filesystem(driver, [layered.layer(fillBottom)]);
    const descriptors = openDescriptors('self');
    const whole = await buffer(await filesystem.tar());
    const archive = await filesystem.tar();
    await filesystem.umount();
    if (driver.keepsOpenTrees) assert.ok(whole.equals(await buffer(archive)));
    else await assert.rejects(buffer(archive), /to its end: it was unmounted meanwhile$/);
    const removed = await filesystem.tar();
    await filesystem.destroy();
    await assert.rejects(buffer(removed), /it was removed meanwhile$/);
    assert.equal(openDescriptors('self'), descriptors);
  });

  for (const other of TESTED_DRIVERS.filter((each) => each !== driver)) {
    test(`Filesystem: what was written under ${driver.name} is the same under ${other.name}`, async (t) => {
      const layered = new Layered(t);
      const layers = [layered.layer(fillBottom)];
      const before = layered.filesystem(driver, layers, 'container');
      await before.mount();
      change(before.rootfs);
      const [tree, changes] = [treeOf(before.rootfs), [...(await before.changes())]];
      await before.umount();
      const after = layered.filesystem(other, layers, 'container');
      assert.deepEqual([...(await after.changes())], changes, 'before it is mounted');
      assert.deepEqual(await mountedTree(after), tree);
      assert.deepEqual([...(await after.changes())], changes);
      fs.writeFileSync(join(after.rootfs, 'later'), '');
      await after.umount();
      const again = layered.filesystem(driver, layers, 'container');
      await again.mount();
      assert.equal(fs.existsSync(join(again.rootfs, 'later')), true);
      assert.equal([...(await again.changes())].length, changes.length + 1);
      await again.umount();
    });

    test(`Filesystem: mounted under ${driver.name}, it stays so for a daemon that uses ${other.name}`, async (t) => {
      const layered = new Layered(t);
      const layers = [layered.layer(fillBottom)];
      const before = layered.filesystem(driver, layers, 'container');
      await before.mount();
      change(before.rootfs);
      const [tree, changes] = [treeOf(before.rootfs), [...(await before.changes())]];
      const after = layered.filesystem(other, layers, 'container');
      assert.equal(await after.isMounted(), true);
      assert.deepEqual([...(await after.changes())], changes);
      await after.umount();
      assert.equal(await after.isMounted(), false);
      assert.deepEqual(await mountedTree(after), tree);
      await after.umount();
    });
  }

  test(`Filesystem.mount() on ${driver.name} takes 120 layers, each of which adds and deletes something`, async (t) => {
    const layered = new Layered(t);
    const layers: string[] = [];
    for (let i = 0; i < 120; i++) {
      const layer = layered.layer((path) => {
        fs.writeFileSync(join(path, `file-${i}`), `${i}`);
        if (i > 0) fs.writeFileSync(join(path, `.wh.file-${i - 1}`), '');
        fs.mkdirSync(join(path, `dir-${i}`));
      });
      layers.unshift(layer);
    }
    const filesystem = layered.filesystem(driver, layers);
    await filesystem.mount();
    const names = fs.readdirSync(filesystem.rootfs);
    assert.deepEqual(
      names.filter((name) => !name.startsWith('dir-')),
      ['file-119'],
    );
    assert.equal(names.length, 121);
    await filesystem.umount();
  });
}

test('Filesystem.mount() says so where overlay cannot stack that many layers', async (t) => {
  const layered = new Layered(t);
  const layers = Array.from({ length: 501 }, () => layered.layer(() => undefined));
  const [overlay] = TESTED_DRIVERS;
  assert.ok(overlay);
  await assert.rejects(
    layered.filesystem(overlay, layers).mount(),
    /^Error: Cannot mount 501 layers with overlay: .*500$/,
  );
});
