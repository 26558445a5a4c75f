// The file system of a container, mounted for real.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Filesystem } from '../../src/filesystem/filesystem.js';
import type { MountDriver } from '../../src/filesystem/mount-driver.js';
import { overlay } from '../../src/filesystem/overlay.js';
import { DRIVER_NAMES } from '../../src/filesystem/drivers.js';
import { pickDriver } from '../../src/filesystem/pick-driver.js';
import { isMountPoint, umount } from '../../src/linux/mount.js';
import { temporaryFolder } from '../archive/tar-builder.js';

interface Setup {
  root: string;
  filesystem: Filesystem;
  inside: (name: string) => string;
}

/** A container's folder with two layers; whatever is mounted goes away after the test. */
function setUp(t: TestContext, driver: MountDriver = overlay, name = 'container'): Setup {
  const folder = temporaryFolder(t);
  const root = join(folder, name);
  const layers = ['top', 'bottom'].map((layer) => join(folder, 'layers', layer));
  for (const layer of layers) mkdirSync(layer, { recursive: true });
  mkdirSync(root);
  writeFileSync(join(folder, 'layers/top/both'), 'top');
  writeFileSync(join(folder, 'layers/bottom/both'), 'bottom');
  writeFileSync(join(folder, 'layers/bottom/below'), 'bottom');
  const rootfs = join(root, 'rootfs');
  return {
    root,
    filesystem: new Filesystem(rootfs, join(root, 'rw'), layers, driver),
    inside: (file) => join(rootfs, file),
  };
}

test('Filesystem.mount() shows the layers as one tree, the top one over the others', async (t) => {
  const { filesystem, inside } = setUp(t);
  await filesystem.mount();
  assert.equal(await filesystem.isMounted(), true);
  assert.deepEqual(readdirSync(filesystem.rootfs).sort(), ['below', 'both']);
  assert.equal(readFileSync(inside('both'), 'utf8'), 'top');
  await filesystem.umount();
  assert.equal(await filesystem.isMounted(), false);
  assert.deepEqual(readdirSync(filesystem.rootfs), []);
});

test('Filesystem keeps what is written in rw, and the layers as they are', async (t) => {
  const { filesystem, inside } = setUp(t);
  await filesystem.mount();
  writeFileSync(inside('both'), 'changed');
  writeFileSync(inside('new'), 'new');
  await filesystem.umount();
  assert.deepEqual(readdirSync(filesystem.rwPath).sort(), ['both', 'new']);
  assert.equal(readFileSync(join(filesystem.layers[0] ?? '', 'both'), 'utf8'), 'top');
  await filesystem.mount();
  assert.equal(readFileSync(inside('both'), 'utf8'), 'changed');
  await filesystem.umount();
});

test('Filesystem.mount() refuses to mount twice; ensureMounted() does not mind', async (t) => {
  const { filesystem } = setUp(t);
  await filesystem.ensureMounted();
  await filesystem.ensureMounted();
  await assert.rejects(filesystem.mount(), { message: 'Mount: Filesystem already mounted' });
  await filesystem.umount();
  assert.equal(await filesystem.isMounted(), false);
});

test('Filesystem.umount() fails when nothing is mounted', async (t) => {
  const { filesystem } = setUp(t);
  await assert.rejects(filesystem.umount(), { message: 'Umount: Filesystem not mounted' });
  await filesystem.changes(); // makes the folders
  await assert.rejects(filesystem.umount(), { message: 'Umount: Filesystem not mounted' });
});

test('Filesystem.umount() takes a busy tree from sight; its user keeps it until it is done', async (t) => {
  const { filesystem, inside } = setUp(t);
  await filesystem.mount();
  const fd = openSync(inside('both'), 'r');
  await filesystem.umount();
  assert.equal(await filesystem.isMounted(), false);
  assert.equal(readFileSync(fd, 'utf8'), 'top');
  closeSync(fd);
});

test('Filesystem.mount() says what it told the kernel where that refuses', async (t) => {
  const { root, filesystem } = setUp(t);
  writeFileSync(join(root, 'work'), ''); // no folder
  await assert.rejects(filesystem.mount(), (error: Error & { code?: string; data?: string; path?: string }) => {
    assert.equal(error.code, 'EINVAL');
    assert.equal(error.path, filesystem.rootfs);
    assert.match(
      error.data ?? '',
      new RegExp(`^overlay 'overlay' lowerdir=.*,upperdir=${root}/rw,workdir=${root}/work,`),
    );
    return true;
  });
  assert.equal(await filesystem.isMounted(), false);
});

test('Filesystem.mount() takes folders whose names hold separators', async (t) => {
  const { filesystem, inside } = setUp(t, overlay, 'a:b,c\\d e=f');
  await filesystem.mount();
  writeFileSync(inside('new'), '');
  await filesystem.umount();
  assert.deepEqual(readdirSync(filesystem.rwPath), ['new']);
});

test('Filesystem.toJSON() has the keys of 2013, and layerIds the names of the layers', (t) => {
  const { root, filesystem } = setUp(t);
  assert.deepEqual(filesystem.toJSON(), {
    RootFS: join(root, 'rootfs'),
    RWPath: join(root, 'rw'),
    Layers: filesystem.layers,
  });
  assert.deepEqual(filesystem.layerIds, ['top', 'bottom']);
});

test('isMountPoint() is false for a folder, a file and what is missing', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  for (const path of [folder, join(folder, 'file'), join(folder, 'missing')]) assert.equal(isMountPoint(path), false);
  assert.equal(isMountPoint('/proc'), true);
});

test('umount() rejects with the path where nothing is mounted', async (t) => {
  const folder = temporaryFolder(t);
  await assert.rejects(umount(folder), { code: 'EINVAL', syscall: 'umount2', path: folder });
  await assert.rejects(umount(folder, true), { code: 'EINVAL', flags: 'MNT_DETACH' });
});

const silent = (line: string): void => assert.fail(`nothing to be told: ${line}`);

test('pickDriver() finds a driver that mounts, and leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t);
  const driver = await pickDriver(folder, undefined, silent);
  assert.ok(DRIVER_NAMES.includes(driver.name));
  for (const name of ['overlay', 'vfs']) assert.equal((await pickDriver(folder, name, silent)).name, name);
  assert.deepEqual(readdirSync(folder), []);
});

test('pickDriver() falls back to copies where no union can be mounted, and says why', async (t) => {
  const folder = temporaryFolder(t);
  // Overlay takes no read-only folder for its changes, and none whose own changes lie in an overlay.
  for (const name of ['lower', 'upper', 'work', 'union']) mkdirSync(join(folder, name));
  const options = `lowerdir=${folder}/lower,upperdir=${folder}/upper,workdir=${folder}/work`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', options, join(folder, 'union')]);
  const told: string[] = [];
  const driver = await pickDriver(join(folder, 'union'), undefined, (line) => told.push(line));
  assert.equal(driver.name, 'vfs');
  assert.match(told.join(), /^each start copies the whole image: .*aufs: .*overlay: .*modprobe overlay/);
  await assert.rejects(
    pickDriver(join(folder, 'union'), 'overlay', silent),
    /^Error: No mount driver works in .*overlay: /,
  );
});

test('pickDriver() refuses a name that it does not know, and tells those that it knows', async (t) => {
  await assert.rejects(pickDriver(temporaryFolder(t), 'btrfs', silent), {
    message: `Unknown mount driver "btrfs": there are ${DRIVER_NAMES.join(', ')}`,
  });
});
