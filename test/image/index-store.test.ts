// The index of images: what a caller is told is on disk, and a damaged file is named.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { imageFromJSON, imageToJSON, newImage, type Image } from '../../src/image/image.js';
import { Index } from '../../src/image/index-store.js';
import { DamageReport } from '../../src/util/damage-report.js';
import { goMarshal } from '../../src/util/go-json.js';
import { findAside } from '../../src/util/set-aside.js';
import { temporaryFolder } from '../archive/tar-builder.js';

const LAYERS = '/data/images/layers';

function version(name: string, layer: string): Image {
  return newImage(name, [`${LAYERS}/${layer}`], '2012-12-12T00:00:00Z');
}

/** An index in a folder of its own, and what reads it again from disk. */
async function openIndex(
  t: TestContext,
): Promise<{ folder: string; path: string; index: Index; reopen: () => Promise<Index> }> {
  const folder = temporaryFolder(t);
  const path = join(folder, 'index.json');
  const reopen = (): Promise<Index> => Index.open(path, LAYERS);
  return { folder, path, index: await reopen(), reopen };
}

test('newImage() names an image by its name and its layers', () => {
  assert.deepEqual(newImage('base', ['/l/0123456789abcdef'], 'now'), {
    id: 'base:0123456789abcdef',
    layers: ['/l/0123456789abcdef'],
    created: 'now',
    parent: '',
  });
  // printf abc | sha256sum
  assert.equal(newImage('base', ['/l/a', '/l/b', '/l/c'], 'now', 'p').id, 'base:ba7816bf8f01cfea');
});

test('imageFromJSON() takes layers from where they lie now, and what is no image for none', () => {
  const json = { Id: 'x:1', Layers: ['/var/lib/docker/images/layers/1'], Created: 'then', Parent: 'p' };
  assert.deepEqual(imageFromJSON(json, LAYERS), { id: 'x:1', layers: [`${LAYERS}/1`], created: 'then', parent: 'p' });
  for (const bad of [null, 5, 'x', [], {}, { Id: 'x' }, { Id: 5, Layers: [] }, { Id: 'x', Layers: {} }])
    assert.equal(imageFromJSON(bad, LAYERS), undefined);
});

test('imageFromJSON() lets no layer lie outside the folder of layers', () => {
  const layers = imageFromJSON({ Id: 'x', Layers: ['../../etc', '/etc/..', '..', 5, ''] }, LAYERS)?.layers ?? [];
  for (const layer of layers) assert.ok(layer.startsWith(`${LAYERS}/`), layer);
});

test('imageToJSON() has the keys of 2013 in their order', () => {
  assert.equal(
    JSON.stringify(imageToJSON({ id: 'i', layers: ['l'], created: 'c', parent: 'p' })),
    '{"Id":"i","Layers":["l"],"Created":"c","Parent":"p"}',
  );
});

test('imageFromJSON() and imageToJSON() keep what is not known', () => {
  const text = '{"Id":"i","Layers":[],"Created":"c","Parent":"","Later":{"10":1,"9":2},"__proto__":[null]}';
  const image = imageFromJSON(JSON.parse(text), LAYERS);
  assert.ok(image);
  assert.equal(goMarshal(imageToJSON(image)), text);
});

test('Index.open() takes a missing file for an empty index, and writes none', async (t) => {
  const { folder, index } = await openIndex(t);
  assert.deepEqual([index.names, index.size, index.find('x'), index.history('x')], [[], 0, undefined, []]);
  assert.deepEqual(readdirSync(folder), []);
});

test('Index.add() makes an image the newest of its name, found by name and by id', async (t) => {
  const { index, reopen } = await openIndex(t);
  const [first, second] = [version('base', '1'), version('base', '2')];
  assert.equal(await index.add('base', first), first);
  await index.add('base', second);
  await index.add('other', version('other', '1'));
  for (const each of [index, await reopen()]) {
    assert.deepEqual(each.history('base'), [second, first]);
    assert.deepEqual(each.find('base'), second);
    assert.deepEqual(each.find('base:1'), first);
    assert.deepEqual([each.names, each.size], [['base', 'other'], 3]);
    assert.equal(each.find('base:3'), undefined);
  }
});

test('Index.add() does not add the id of the newest again, but an older one', async (t) => {
  const { index, path } = await openIndex(t);
  const [first, second] = [version('base', '1'), version('base', '2')];
  await index.add('base', first);
  const again = await index.add('base', { ...version('base', '1'), created: 'later' });
  assert.equal(again.created, first.created);
  assert.equal(index.history('base').length, 1);
  await index.add('base', second);
  await index.add('base', first);
  assert.deepEqual(
    index.history('base').map(({ id }) => id),
    ['base:1', 'base:2', 'base:1'],
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('Index.add() writes the file as the original does, maps sorted by the text of their keys', async (t) => {
  const { index, path } = await openIndex(t);
  await index.add('b', version('b', '1'));
  await index.add('10', version('10', '2'));
  await index.add('9', version('9', '3'));
  const image = (name: string, layer: string): string =>
    `{"Id":"${name}:${layer}","Layers":["${LAYERS}/${layer}"],"Created":"2012-12-12T00:00:00Z","Parent":""}`;
  assert.equal(
    readFileSync(path, 'utf8'),
    `{"Path":"${path}","ByName":{"10":[${image('10', '2')}],"9":[${image('9', '3')}],"b":[${image('b', '1')}]},` +
      `"ById":{"10:2":${image('10', '2')},"9:3":${image('9', '3')},"b:1":${image('b', '1')}}}`,
  );
});

test('Index.copy() gives the layers of an image, by name or id, a new name, and makes it the parent', async (t) => {
  const { index, reopen } = await openIndex(t);
  const [first, second] = [version('base', '1'), version('base', '2')];
  await index.add('base', first);
  await index.add('base', second);
  const copy = await index.copy('base', 'copy', 'now');
  assert.deepEqual(copy, { id: 'copy:2', layers: second.layers, created: 'now', parent: 'base:2' });
  assert.deepEqual(await index.copy('base:1', 'copy', 'later'), { ...first, id: 'copy:1', created: 'later', parent: 'base:1' }); // prettier-ignore
  for (const each of [index, await reopen()]) assert.deepEqual(each.history('copy').map(({ id }) => id), ['copy:1', 'copy:2']); // prettier-ignore
});

test('Index.copy() onto itself adds no version', async (t) => {
  const { index } = await openIndex(t);
  const image = await index.add('base', version('base', '1'));
  assert.equal(await index.copy('base', 'base', 'now'), image);
  assert.deepEqual(index.history('base'), [image]);
});

test('Index.copy() refuses an empty name, and an image that there is not', async (t) => {
  const { folder, index } = await openIndex(t);
  await assert.rejects(index.copy('nosuch', '', 'now'), { message: 'Illegal image name' });
  await assert.rejects(index.copy('nosuch', 'x', 'now'), { message: 'No such image: nosuch' });
  assert.deepEqual(readdirSync(folder), []);
});

test('Index.add() keeps every one of many at once', async (t) => {
  const { folder, index, reopen } = await openIndex(t);
  const count = 50;
  await Promise.all(Array.from({ length: count }, (_, i) => index.add(`n${i % 5}`, version(`n${i % 5}`, String(i)))));
  const read = await reopen();
  assert.equal(read.size, count);
  assert.deepEqual(read.history('n0').map(({ id }) => id), Array.from({ length: 10 }, (_, i) => `n0:${45 - 5 * i}`)); // prettier-ignore
  assert.deepEqual(readdirSync(folder), ['index.json']);
});

test('Index.add() takes names from the prototype of an object for names', async (t) => {
  const { index, reopen } = await openIndex(t);
  for (const name of ['constructor', '__proto__', 'toString']) {
    assert.equal(index.find(name), undefined);
    await index.add(name, version(name, '1'));
  }
  assert.deepEqual((await reopen()).names, ['__proto__', 'constructor', 'toString']);
});

test('Index.add() that cannot be written changes nothing, and the next one works', async (t) => {
  const { folder, index } = await openIndex(t);
  await index.add('base', version('base', '1'));
  rmSync(folder, { recursive: true });
  await assert.rejects(index.add('base', version('base', '2')), /^Error: Cannot write .*index\.json: ENOENT/);
  assert.equal(index.find('base')?.id, 'base:1');
  assert.equal(index.find('base:2'), undefined);
  mkdirSync(folder);
  await index.add('base', version('base', '3'));
  assert.deepEqual(
    index.history('base').map(({ id }) => id),
    ['base:3', 'base:1'],
  );
});

test('Index keeps keys of the file that it does not know', async (t) => {
  const { path, reopen } = await openIndex(t);
  writeFileSync(path, '{"Path":"/old","ByName":{},"ById":{},"Ours":{"10":1,"9":[null]}}');
  await (await reopen()).add('base', version('base', '1'));
  assert.match(readFileSync(path, 'utf8'), /,"Ours":\{"10":1,"9":\[null\]\}\}$/);
});

test('Index.open() reads an index of an original, with the layers where they lie now', async (t) => {
  const { path, reopen } = await openIndex(t);
  const image = {
    Id: 'base:1',
    Layers: ['/var/lib/docker/images/layers/1'],
    Created: '2013-01-29T17:04:05.123456789Z',
    Parent: '',
  };
  writeFileSync(
    path,
    JSON.stringify({ Path: '/var/lib/docker/images/index.json', ByName: { base: [image] }, ById: { 'base:1': image } }),
  );
  const found = (await reopen()).find('base');
  assert.deepEqual(found?.layers, [`${LAYERS}/1`]);
  assert.equal(found.created, image.Created);
});

/** Opens the index at `path`, and what it says of damage. */
async function openDamaged(path: string): Promise<{ index: Index; damage: DamageReport }> {
  const damage = new DamageReport();
  return { index: await Index.open(path, LAYERS, damage), damage };
}

test('Index.open() sets a file aside that it cannot use, says why, and starts without images', async (t) => {
  const { path } = await openIndex(t);
  for (const [make, why] of [
    [() => writeFileSync(path, ''), 'Unexpected end of JSON input'],
    [() => writeFileSync(path, '{"ByName":'), 'Unexpected end of JSON input'],
    [() => writeFileSync(path, '[]'), 'it holds no JSON object'],
    [() => writeFileSync(path, 'null'), 'it holds no JSON object'],
    [() => writeFileSync(path, '"x"'), 'it holds no JSON object'],
    [() => writeFileSync(path, '{"Repositories":{"base":{"latest":"0123"}}}'), 'it holds no index of images'],
    [() => writeFileSync(path, Buffer.from([0x7b, 0xff, 0x7d])), 'it holds what is no text'],
    [() => mkdirSync(join(path, 'x'), { recursive: true }), 'it is a folder'],
    [() => symlinkSync('nowhere', path), 'it is a symbolic link'],
    [() => symlinkSync('index.json', path), 'it is a symbolic link'],
    [() => symlinkSync('/dev/zero', path), 'it is a symbolic link'],
    [() => execFileSync('mkfifo', [path]), 'it is a FIFO'],
    [() => execFileSync('mknod', [path, 'c', '1', '5']), 'it is a device'],
    [() => truncateSync(openAndClose(path), 2 ** 40), 'it has 1099511627776 bytes, and more than'],
  ] as const) {
    make();
    const { index, damage } = await openDamaged(path);
    const [line = ''] = damage.lines.slice(-1);
    assert.ok(line.includes(` was ${path}, which cannot be used: ${why}`), line);
    assert.deepEqual([index.names, index.isMissing, damage.needsLayers], [[], true, true]);
    await index.save();
    assert.ok(statSync(path).isFile());
    rmSync(path);
    for (const aside of findAside(path)) rmSync(aside, { recursive: true });
    assert.deepEqual([damage.lines, damage.needsLayers], [[], false]);
  }
});

test('Index.open() overwrites nothing that was set aside earlier, and tells of it', async (t) => {
  const { folder, path } = await openIndex(t);
  for (const text of ['1', '2', '3']) {
    writeFileSync(path, text);
    await openDamaged(path);
  }
  const names = readdirSync(folder);
  assert.equal(names.length, 3);
  for (const name of names) assert.match(name, /^index\.json\.damaged-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d)?$/);
  assert.deepEqual(names.map((name) => readFileSync(join(folder, name), 'utf8')).sort(), ['1', '2', '3']);
  const { damage } = await openDamaged(path);
  assert.equal(damage.lines.filter((line) => line.includes('was set aside earlier')).length, 3);
});

test('Index.open() keeps what is whole beside entries that are no images, and the file as it was', async (t) => {
  const { path } = await openIndex(t);
  const good = imageToJSON(version('base', '1'));
  const damaged = JSON.stringify({ ByName: { base: [null, 5, good, {}], other: 'x' }, Later: [1] });
  writeFileSync(path, damaged);
  const { index, damage } = await openDamaged(path);
  assert.deepEqual([index.names, index.size, index.isMissing], [['base'], 1, false]);
  assert.match(damage.lines.join(), /3 of the versions of "base" and 1 more was left out; the rest is kept/);
  await index.add('base', version('base', '2'));
  const [aside = ''] = findAside(path);
  assert.equal(readFileSync(aside, 'utf8'), damaged);
  assert.match(readFileSync(path, 'utf8'), /"Later":\[1\]/);
  const next = await openDamaged(path);
  assert.deepEqual([next.damage.lines.length, next.index.size, findAside(path).length], [1, 2, 1]);
  rmSync(aside);
  assert.deepEqual((await openDamaged(path)).damage.lines, []);
});

test('Index.open() takes for damaged what would lose an image', async (t) => {
  const { path } = await openIndex(t);
  const good = imageToJSON(version('base', '1'));
  for (const damaged of [
    { ByName: { base: [{ ...good, Layers: [`${LAYERS}/1`, 5] }] } },
    { ByName: { base: [{ ...good, Layers: ['..'] }] } },
    { ByName: { base: [{ ...good, Layers: ['../../a,upperdir=b'] }] } },
    { ByName: { base: good } },
    { ByName: [good] },
    { ByName: {}, ById: { 'base:1': good } },
    { ByName: {}, ById: [good] },
  ]) {
    writeFileSync(path, JSON.stringify(damaged));
    assert.equal((await openDamaged(path)).damage.needsLayers, true, JSON.stringify(damaged));
    for (const aside of findAside(path)) rmSync(aside);
  }
  for (const whole of [{}, { ByName: null, ById: null }, { ByName: { base: [good] }, ById: { 'base:1': good } }]) {
    writeFileSync(path, JSON.stringify(whole));
    assert.deepEqual((await openDamaged(path)).damage.lines, [], JSON.stringify(whole));
  }
});

test('Index.open() brings back from the list of ids what the list of names has lost', async (t) => {
  const { path } = await openIndex(t);
  const at = (layer: string, created: string): ReturnType<typeof imageToJSON> =>
    imageToJSON({ ...version('base', layer), created });
  const [old, middle, recent] = [
    at('1', '2013-01-01T00:00:00Z'),
    at('2', '2013-01-02T00:00:00Z'),
    at('3', '2013-01-03T00:00:00Z'),
  ];
  const ById = { 'base:1': old, 'base:2': middle, 'base:3': recent, 'wrong:9': old, 'x:1': 5 };
  writeFileSync(path, JSON.stringify({ ByName: { base: [recent, 5, old] }, ById }));
  const { index } = await openDamaged(path);
  assert.deepEqual(index.history('base').map(({ id }) => id), ['base:3', 'base:2', 'base:1']); // prettier-ignore
  assert.deepEqual(index.names, ['base']);
});

test('Index.open() follows no parent: one that is missing, or a circle of them, is kept as it stands', async (t) => {
  const { path } = await openIndex(t);
  const images = ['1', '2'].map((layer) => ({ ...imageToJSON(version('a', layer)), Parent: `a:${3 - Number(layer)}` }));
  const lost = { ...imageToJSON(version('b', '3')), Parent: '../../nowhere' };
  writeFileSync(path, JSON.stringify({ ByName: { a: images, b: [lost] } }));
  const { index, damage } = await openDamaged(path);
  assert.deepEqual(damage.lines, []);
  assert.deepEqual(index.history('a').map(({ parent }) => parent), ['a:2', 'a:1']); // prettier-ignore
  assert.equal(index.find('b')?.parent, '../../nowhere');
});

test('Index.delete() removes a name with all its versions, for good', async (t) => {
  const { index, reopen } = await openIndex(t);
  const [first, second, other] = [version('base', '1'), version('base', '2'), version('other', '2')];
  await index.add('base', first);
  await index.add('base', second);
  await index.add('other', other);
  assert.deepEqual(await index.delete('base'), [second, first]);
  for (const each of [index, await reopen()]) {
    assert.deepEqual([each.names, each.find('base'), each.find('base:1')], [['other'], undefined, undefined]);
    assert.deepEqual([each.usesLayer(`${LAYERS}/1`), each.usesLayer(`${LAYERS}/2`)], [false, true]);
  }
});

test('Index.delete() wants a name, not an id, and changes nothing without one', async (t) => {
  const { index, path } = await openIndex(t);
  await index.add('base', version('base', '1'));
  const before = readFileSync(path, 'utf8');
  for (const name of ['base:1', 'nosuch', '', 'constructor', '__proto__'])
    await assert.rejects(index.delete(name), { message: `No such image: ${name}` });
  assert.equal(readFileSync(path, 'utf8'), before);
  assert.equal(index.size, 1);
});

test('Index.deleteMatch() removes the names that an expression matches anywhere', async (t) => {
  const { index } = await openIndex(t);
  for (const name of ['foo', 'xfoo', 'foox', 'bar']) await index.add(name, version(name, '1'));
  assert.deepEqual(await index.deleteMatch('nothing'), []);
  assert.deepEqual((await index.deleteMatch('^foo$')).map(({ id }) => id), ['foo:1']); // prettier-ignore
  await Promise.all([index.deleteMatch('foo'), index.deleteMatch('o{2}')]);
  assert.deepEqual(index.names, ['bar']);
  await index.deleteMatch('');
  assert.deepEqual(index.names, []);
});

function openAndClose(path: string): string {
  closeSync(openSync(path, 'w'));
  return path;
}
