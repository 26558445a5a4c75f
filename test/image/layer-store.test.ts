// Layers on disk: whole or not there, and nothing half-made beside them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { LayerStore, type LayerHooks } from '../../src/image/layer-store.js';
import { Store } from '../../src/image/store.js';
import { DamageReport } from '../../src/util/damage-report.js';
import { findAside } from '../../src/util/set-aside.js';
import { archive, entry, temporaryFolder } from '../archive/tar-builder.js';

const TAR = archive(entry({ name: 'etc/', type: '5', mode: 0o755 }), entry({ name: 'etc/motd', content: 'hello\n' }));
const ID = createHash('sha256').update(TAR).digest('hex').slice(0, 16);

function source(bytes: Buffer): Readable {
  return Readable.from([bytes]);
}

/** What a caller does with a new layer, where the test needs no more than its path. */
const keep = (layer: string): Promise<string> => Promise.resolve(layer);

/** A store in a folder of its own, and what it takes for used. */
async function openStore(t: TestContext, hooks: LayerHooks = {}): Promise<{ store: LayerStore; used: Set<string> }> {
  const store = await LayerStore.open(temporaryFolder(t), hooks);
  const used = new Set<string>();
  store.setUsers((layer) => used.has(layer));
  return { store, used };
}

/** Layers as if they had been imported, with a file in each. */
function makeLayers(store: LayerStore, ...names: string[]): string[] {
  return names.map((name) => {
    mkdirSync(join(store.path, name, 'folder'), { recursive: true });
    writeFileSync(join(store.path, name, 'folder', 'file'), '');
    return join(store.path, name);
  });
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

test('LayerStore.list() has the folders of layers, sorted, and of nothing else', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  assert.deepEqual(await store.list(), []);
  for (const name of ['fedcba9876543210', '0123456789abcdef', '.tmp-0a1b2c3d-x', 'other'])
    mkdirSync(join(store.path, name));
  assert.deepEqual(await store.list(), [join(store.path, '0123456789abcdef'), join(store.path, 'fedcba9876543210')]);
});

test('LayerStore.addLayer() names a layer by the sum of its archive', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const layer = await store.addLayer(source(TAR), keep);
  assert.equal(layer, join(store.path, ID));
  assert.equal(readFileSync(join(layer, 'etc/motd'), 'utf8'), 'hello\n');
  assert.equal(statSync(layer).mode & 0o7777, 0o755);
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() gives a compressed archive the id of the plain one', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  assert.equal(await store.addLayer(source(gzipSync(TAR)), keep), join(store.path, ID));
});

test('LayerStore.addLayer() leaves a layer that is there as it is', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const layer = await store.addLayer(source(TAR), keep);
  const before = statSync(layer).ino;
  assert.equal(await store.addLayer(source(TAR), keep), layer);
  assert.equal(statSync(layer).ino, before);
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() makes one layer of the same archive several times at once', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const layers = await Promise.all([1, 2, 3, 4].map(() => store.addLayer(source(TAR), keep)));
  assert.deepEqual(new Set(layers), new Set([join(store.path, ID)]));
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() of what is no whole archive leaves nothing behind', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  for (const bad of [TAR.subarray(0, 1_000), Buffer.alloc(5_000, 'no archive')]) {
    await assert.rejects(store.addLayer(source(bad), keep));
    assert.deepEqual(readdirSync(store.path), []);
  }
});

test('LayerStore.addLayer() whose caller goes away leaves nothing behind', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  const broken = new PassThrough();
  const added = store.addLayer(broken, keep);
  broken.write(TAR.subarray(0, 700));
  setImmediate(() => broken.destroy(new Error('the caller went away')));
  await assert.rejects(added, /the caller went away/);
  assert.deepEqual(readdirSync(store.path), []);
});

test('LayerStore.free() removes the layers that nothing uses, and only those', async (t) => {
  const { store, used } = await openStore(t);
  const layers = makeLayers(store, '000000000000000a', '000000000000000b', '000000000000000c');
  used.add(join(store.path, '000000000000000b'));
  await store.free([...layers, ...layers, join(store.path, '000000000000000d')]);
  assert.deepEqual(readdirSync(store.path), ['000000000000000b']);
});

test('LayerStore.free() frees nothing before it is known what is used', async (t) => {
  const store = await LayerStore.open(temporaryFolder(t));
  await store.free(makeLayers(store, '000000000000000a'));
  await store.freeUnused();
  assert.deepEqual(readdirSync(store.path), ['000000000000000a']);
});

test('LayerStore.free() leaves alone what it did not name', async (t) => {
  const { store } = await openStore(t);
  await store.free(makeLayers(store, 'lost+found', '000000000000000A', '0000', 'x000000000000000a'));
  await store.freeUnused();
  assert.deepEqual(readdirSync(store.path).sort(), ['0000', '000000000000000A', 'lost+found', 'x000000000000000a']);
});

test('LayerStore.free() waits for the last who holds a layer', async (t) => {
  const { store, used } = await openStore(t);
  const layers = makeLayers(store, '000000000000000a', '000000000000000b');
  const releases = [store.hold(layers), store.hold(layers)];
  await store.free(layers);
  await releases[0]?.();
  await releases[0]?.(); // once is enough
  assert.equal(readdirSync(store.path).length, 2);
  used.add(join(store.path, '000000000000000b')); // it has come on record meanwhile
  await releases[1]?.();
  assert.deepEqual(readdirSync(store.path), ['000000000000000b']);
});

test('LayerStore.addLayer() holds the layer until it is on record, and frees it where it does not get there', async (t) => {
  const { store, used } = await openStore(t);
  const failed = store.addLayer(source(TAR), async (layer) => {
    await store.free([layer]);
    assert.deepEqual(readdirSync(store.path), [ID]);
    throw new Error('no record');
  });
  await assert.rejects(failed, { message: 'no record' });
  assert.deepEqual(readdirSync(store.path), []);
  await store.addLayer(source(TAR), async (layer) => used.add(layer));
  assert.deepEqual(readdirSync(store.path), [ID]);
});

test('LayerStore.addLayer() and free() of the same layer, over and over, leave it whole where it is on record', async (t) => {
  const { store, used } = await openStore(t);
  const layer = join(store.path, ID);
  for (let round = 0; round < 20; round++) {
    const add = (): Promise<unknown> => store.addLayer(source(TAR), async (path) => used.add(path));
    await add();
    used.delete(layer);
    await Promise.all([store.free([layer]), add(), store.free([layer]), add()]);
    assert.equal(readFileSync(join(layer, 'etc/motd'), 'utf8'), 'hello\n');
    assert.deepEqual(readdirSync(store.path), [ID]);
    used.delete(layer);
    await Promise.all([add().then(() => used.delete(layer)), store.free([layer])]);
    await store.free([layer]);
    assert.deepEqual(readdirSync(store.path), []);
  }
});

test('LayerStore tells when a layer arrives and goes, and takes none that is not wanted', async (t) => {
  const told: string[] = [];
  let isWanted = false;
  const { store, used } = await openStore(t, {
    onArrival: async (layer, folder, { entries }) => {
      assert.equal(readFileSync(join(folder, 'etc/motd'), 'utf8'), 'hello\n');
      assert.ok(!existsSync(layer));
      told.push(`${basename(layer)} arrives with ${entries}`);
      if (!isWanted) throw new Error('not wanted');
    },
    onGone: async (layer) => void told.push(`${basename(layer)} is gone`),
  });
  await assert.rejects(store.addLayer(source(TAR), keep), { message: 'not wanted' });
  assert.deepEqual(readdirSync(store.path), []);
  isWanted = true;
  await store.addLayer(source(TAR), async (layer) => used.add(layer));
  await store.addLayer(source(TAR), keep); // it is there already
  used.clear();
  await store.freeUnused();
  assert.deepEqual(told, [`${ID} arrives with 2`, `${ID} arrives with 2`, `${ID} is gone`]);
});

test('LayerStore.open() starts also where something half-made cannot be removed, and tells', async (t) => {
  const path = temporaryFolder(t);
  const mounted = join(path, '.tmp-0a1b2c3d-x', 'mounted');
  mkdirSync(mounted, { recursive: true });
  execFileSync('mount', ['-t', 'tmpfs', 'none', mounted]);
  try {
    const told: string[] = [];
    await LayerStore.open(path, { log: (line) => told.push(line) });
    assert.deepEqual(told, [`Cannot remove "${mounted}": something is mounted there`]);
  } finally {
    execFileSync('umount', [mounted]);
  }
});

test('Store.import() makes a layer and puts the image into the index', async (t) => {
  const root = join(temporaryFolder(t), 'images');
  const store = await Store.open(root);
  const image = await store.import('base', source(TAR));
  assert.equal(image.id, `base:${ID}`);
  assert.deepEqual((await Store.open(root)).index.find('base'), image);
  assert.deepEqual(readdirSync(root).sort(), ['index.json', 'layers']);
});

test('Store.create() puts a layer on top of others, which are held meanwhile', async (t) => {
  const store = await Store.open(temporaryFolder(t));
  store.layers.setUsers((layer) => store.index.usesLayer(layer));
  const below = makeLayers(store.layers, '000000000000000a', '000000000000000b');
  const archive = new PassThrough();
  const importing = store.create('top', archive, below, 'base:000000000000000a');
  await store.layers.free(below);
  archive.end(TAR);
  const { layers, parent } = await importing;
  assert.deepEqual([layers, parent], [[join(store.layers.path, ID), ...below], 'base:000000000000000a']);
  await store.layers.freeUnused();
  assert.equal(readdirSync(store.layers.path).length, 3);
});

test('Store.open() takes a lost index for damage, and a new folder for none', async (t) => {
  const root = temporaryFolder(t);
  const open = async (): Promise<{ store: Store; damage: DamageReport }> => {
    const damage = new DamageReport();
    return { store: await Store.open(root, {}, damage), damage };
  };
  const { store, damage } = await open();
  assert.deepEqual([damage.lines, damage.needsLayers, store.isIndexLost], [[], false, false]);
  assert.match(readFileSync(join(root, 'index.json'), 'utf8'), /"ByName":\{\},"ById":\{\}\}$/);
  rmSync(join(root, 'index.json'));
  assert.deepEqual((await open()).damage.lines, []);
  makeLayers(store.layers, '000000000000000a');
  rmSync(join(root, 'index.json'));
  const lost = await open();
  assert.match(
    lost.damage.lines.join('\n'),
    new RegExp(`^${root}/index\\.json is missing, and there are layers: [^\n]+$`),
  );
  assert.equal(lost.store.isIndexLost, true);
  const next = await open();
  assert.deepEqual(
    [next.damage.needsLayers, next.store.isIndexLost],
    [true, false],
    'also when there is an index again',
  );
  for (const note of findAside(join(root, 'index.json'))) rmSync(note);
  assert.deepEqual([next.damage.needsLayers, next.damage.lines], [false, []], 'not any more once it is taken away');
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
