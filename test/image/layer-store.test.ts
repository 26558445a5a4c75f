// Layers on disk: whole or not there, and nothing half-made beside them.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { LayerStore } from '../../src/image/layer-store.js';
import { Store } from '../../src/image/store.js';
import { archive, entry, temporaryFolder } from '../archive/tar-builder.js';

const TAR = archive(entry({ name: 'etc/', type: '5', mode: 0o755 }), entry({ name: 'etc/motd', content: 'hello\n' }));
const ID = createHash('sha256').update(TAR).digest('hex').slice(0, 16);

function source(bytes: Buffer): Readable {
  return Readable.from([bytes]);
}

test('LayerStore.open() makes the folder, for its owner alone', async (t) => {
  const path = join(temporaryFolder(t), 'images', 'layers');
  assert.equal((await LayerStore.open(path)).path, path);
  assert.equal(statSync(path).mode & 0o777, 0o700);
});

test('LayerStore.open() removes what is half-made, and leaves layers alone', async (t) => {
  const path = temporaryFolder(t);
  mkdirSync(join(path, '.tmp-0a1b2c3d-x', 'deep'), { recursive: true });
  writeFileSync(join(path, '.tmp-0a1b2c3d-x', 'deep', 'file'), '');
  mkdirSync(join(path, '0123456789abcdef'));
  await LayerStore.open(path);
  assert.deepEqual(readdirSync(path), ['0123456789abcdef']);
});

test('LayerStore.addLayer() names a layer by the sum of its archive', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const layer = await store.addLayer(source(TAR));
  assert.equal(layer, join(store.path, ID));
  assert.equal(readFileSync(join(layer, 'etc/motd'), 'utf8'), 'hello\n');
  assert.equal(statSync(layer).mode & 0o7777, 0o755);
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() gives a compressed archive the id of the plain one', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  assert.equal(await store.addLayer(source(gzipSync(TAR))), join(store.path, ID));
});

test('LayerStore.addLayer() leaves a layer that is there as it is', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const layer = await store.addLayer(source(TAR));
  const before = statSync(layer).ino;
  assert.equal(await store.addLayer(source(TAR)), layer);
  assert.equal(statSync(layer).ino, before);
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() makes one layer of the same archive several times at once', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const layers = await Promise.all([1, 2, 3, 4].map(() => store.addLayer(source(TAR))));
  assert.deepEqual(new Set(layers), new Set([join(store.path, ID)]));
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() of what is no whole archive leaves nothing behind', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  for (const bad of [TAR.subarray(0, 1_000), Buffer.alloc(5_000, 'no archive')]) {
    await assert.rejects(store.addLayer(source(bad)));
    assert.deepEqual(readdirSync(store.path), []);
  }
});

test('LayerStore.addLayer() whose caller goes away leaves nothing behind', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const broken = new PassThrough();
  const added = store.addLayer(broken);
  broken.write(TAR.subarray(0, 700));
  setImmediate(() => broken.destroy(new Error('the caller went away')));
  await assert.rejects(added, /the caller went away/);
  assert.deepEqual(readdirSync(store.path), []);
});

test('Store.import() makes a layer and puts the image into the index', async (t) => {
  const root = join(temporaryFolder(t), 'images');
  const store = await Store.open(root);
  const image = await store.import('base', source(TAR));
  assert.equal(image.id, `base:${ID}`);
  assert.deepEqual((await Store.open(root)).index.find('base'), image);
  assert.deepEqual(readdirSync(root).sort(), ['index.json', 'layers']);
});

test('Store.import() refuses an empty name before it reads anything (D08)', async (t) => {
  const store = await Store.open(temporaryFolder(t));
  await assert.rejects(store.import('', source(TAR)), { message: 'Illegal image name' });
  assert.deepEqual(readdirSync(store.layers.path), []);
});

test('Store.import() that fails adds no image', async (t) => {
  const store = await Store.open(temporaryFolder(t));
  await assert.rejects(store.import('base', source(TAR.subarray(0, 600))));
  assert.deepEqual([store.index.names, readdirSync(store.layers.path)], [[], []]);
});
