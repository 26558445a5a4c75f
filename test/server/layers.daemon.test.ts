// Layers on a real daemon: freed when no image and no container uses them any more, and only then.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findAside } from '../../src/util/set-aside.js';
import { archive, entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { TestDaemon, until } from '../harness.js';

const tar = fixtureTar();
const hash = layerId(tar);
let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start({ withImage: false })));
after(() => daemon.close());

function layerId(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
/** What lies in the folder of layers, half-made things included. */
const layers = (): string[] => readdirSync(join(daemon.directory, 'images/layers')).sort();
const small = (name: string): Buffer => archive(entry({ name, content: 'small\n' }));

async function run(...words: string[]): Promise<string> {
  const id = (await daemon.call('run', ...words)).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  return id;
}

test('rmi frees a layer with the last image that has it', async () => {
  await daemon.callWith(tar, 'put', 'one');
  await daemon.callWith(tar, 'put', 'two');
  await daemon.callWith(small('other'), 'put', 'two');
  assert.deepEqual(layers(), [hash, layerId(small('other'))].sort());
  assert.equal(await daemon.call('rmi', 'one'), '');
  assert.deepEqual(layers(), [hash, layerId(small('other'))].sort());
  assert.equal(await daemon.call('rmi', 'two'), '');
  assert.deepEqual(layers(), []);
});

test('rmi of an image in use takes the name only: its container works on, and rm frees the layer', async () => {
  await daemon.callWith(tar, 'put', 'gone');
  const [running, stopped] = [await run('gone', 'sleep', '100'), await run('gone', 'cat', '/data/one')];
  await daemon.stopped(stopped);
  assert.equal(await daemon.call('rmi', '-r', '^gone$'), '');
  assert.equal(await daemon.call('run', 'gone', 'true'), 'Error: No such image: gone\n');
  assert.equal(await daemon.call('start', stopped), `${stopped}\n`);
  await daemon.stopped(stopped);
  assert.equal(await daemon.call('logs', stopped), 'one\none\n');
  assert.match(await daemon.call('ps'), new RegExp(`^${running} +gone:${hash} `, 'm'));
  assert.equal(await daemon.call('rm', stopped), '');
  assert.deepEqual(layers(), [hash]);
  assert.equal(await daemon.call('rm', '-f', running), '');
  assert.deepEqual(layers(), []);
});

test('rm keeps the layers of the image, and a run that cannot begin leaves what it found', async () => {
  await daemon.callWith(tar, 'put', 'base');
  const id = await run('base', 'true');
  await daemon.stopped(id);
  assert.equal(await daemon.call('rm', id), '');
  assert.match(await daemon.call('run', 'base', 'echo', 'x'.repeat(200_000)), /^Error: Cannot spawn lxc-start: /);
  assert.deepEqual(layers(), [hash]);
});

test('run and rmi at the same time: a container that works, or no such image', async () => {
  for (let round = 0; round < 5; round++) {
    await daemon.callWith(tar, 'put', 'race');
    await daemon.call('rmi', 'base');
    const [reply] = await Promise.all([
      daemon.call('run', '-a', 'race', 'cat', '/data/one'),
      daemon.call('rmi', 'race'),
    ]);
    assert.match(reply, /^(one\n|Error: No such image: race\n)$/);
    const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
    if (ids.length > 0) await daemon.call('rm', '-f', ...ids);
    assert.deepEqual(layers(), []);
  }
});

test('put and rmi of the same layer at the same time: what images shows is whole', async () => {
  for (let round = 0; round < 5; round++) {
    await daemon.callWith(tar, 'put', 'race');
    const replies = await Promise.all([
      daemon.call('rmi', 'race'),
      daemon.callWith(tar, 'put', 'race'),
      daemon.callWith(tar, 'put', 'other'),
      daemon.call('rmi', '-r', 'ra'),
    ]);
    assert.deepEqual(replies.slice(1), [`race:${hash}\n`, `other:${hash}\n`, '']);
    assert.match(replies[0], /^(Error: No such image: race\n)?$/);
    assert.equal(await daemon.call('run', '-a', 'other', 'cat', '/data/one'), 'one\n');
    assert.equal(await daemon.call('rm', (await daemon.call('ps', '-a', '-q')).trim()), '');
    await daemon.call('rmi', '-r', '');
    assert.deepEqual(layers(), []);
  }
});

test('commit, rmi of its image and rm of the container at the same time: an image that works, or none', async () => {
  for (let round = 0; round < 5; round++) {
    await daemon.callWith(tar, 'put', 'race');
    const id = await run('race', 'sh', '-c', 'echo changed > /data/one; while :; do date >> /data/two; done');
    await until(async () => /\/data\/two/.test(await daemon.call('diff', id)), 'it writes');
    const [reply] = await Promise.all([
      daemon.call('commit', id, 'made'),
      daemon.call('rmi', 'race'),
      daemon.call('rm', '-f', id),
    ]);
    if (reply.startsWith('made:')) {
      assert.equal(await daemon.call('run', '-a', 'made', 'cat', '/data/one'), 'changed\n');
      assert.equal(await daemon.call('rm', (await daemon.call('ps', '-a', '-q')).trim()), '');
      assert.equal(await daemon.call('rmi', 'made'), '');
    } else {
      assert.equal(reply, `Error: No such container: ${id}\n`);
    }
    assert.deepEqual(layers(), []);
  }
});

test('a daemon that is killed in the middle of a commit: the container goes on, and nothing half-made stays', async () => {
  await daemon.callWith(tar, 'put', 'base');
  const script = 'head -c 200000000 /dev/urandom > /data/big; while :; do echo x; usleep 10000; done';
  const id = await run('base', 'sh', '-c', script);
  const log = join(daemon.directory, 'containers', id, `${id}-stdout.log`);
  await until(() => statSync(log).size > 0, 'it is written');
  const committed = daemon.call('commit', id, 'made');
  await until(() => existsSync(join(daemon.directory, 'containers', id, 'frozen')), 'it is frozen');
  await until(() => layers().some((name) => name.startsWith('.tmp-')), 'the import has begun');
  await daemon.end('SIGKILL');
  assert.equal(await committed, '');
  const before = statSync(log).size;
  await daemon.begin();
  await until(() => statSync(log).size > before, 'it goes on');
  assert.deepEqual(layers(), [hash]);
  assert.equal(await daemon.call('images', '-q'), `base:${hash}\n`);
  assert.equal(await daemon.call('rm', '-f', id), '');
  await daemon.call('rmi', 'base');
});

test('a daemon that is killed in the middle of an import: the next one removes what is left', async () => {
  await daemon.callWith(small('kept'), 'put', 'kept');
  const socket = await daemon.connect();
  socket.write(Buffer.concat([Buffer.from('["put","half"]\n'), tar.subarray(0, tar.length / 2)]));
  await until(() => layers().some((name) => name.startsWith('.tmp-')), 'the import has begun');
  await daemon.end('SIGKILL');
  socket.destroy();
  // It may also have been killed between the layer and the index, or between an rmi and the layer.
  mkdirSync(join(daemon.directory, 'images/layers/00000000deadbeef/etc'), { recursive: true });
  await daemon.begin();
  assert.deepEqual(layers(), [layerId(small('kept'))]);
  assert.match(await daemon.call('images'), /^NAME +ID .*\nkept +kept:\w+ .*\n$/);
  await daemon.call('rmi', 'kept');
});

test('no layer of a container is freed whose file is damaged', async () => {
  await daemon.callWith(tar, 'put', 'base');
  const id = await run('base', 'cat', '/data/one');
  await daemon.stopped(id);
  await daemon.end();
  const path = join(daemon.directory, 'containers', id, 'config.json');
  const whole = readFileSync(path, 'utf8');
  for (const damaged of [whole.slice(0, 50), whole.replace(/"Layers":\[[^\]]*\]/, '"Layers":null')]) {
    writeFileSync(path, damaged);
    await daemon.begin();
    assert.match(daemon.log, new RegExp(`damage: .*${id}/config.json\\.damaged-.*, which cannot be used: `));
    await daemon.call('rmi', 'base');
    assert.deepEqual(layers(), [hash]);
    await daemon.end();
  }
  writeFileSync(path, whole);
  await daemon.begin();
  assert.equal(await daemon.call('start', id), `${id}\n`);
  await daemon.stopped(id);
  assert.equal(await daemon.call('logs', id), 'one\none\n');
  assert.equal(await daemon.call('rm', id), '');
  assert.deepEqual(layers(), []);
});

test('nothing is freed while the index is lost', async () => {
  await daemon.callWith(tar, 'put', 'base');
  await daemon.end();
  const path = join(daemon.directory, 'images/index.json');
  renameSync(path, `${path}.elsewhere`);
  await daemon.begin();
  assert.deepEqual([await daemon.call('images', '-q'), layers()], ['', [hash]]);
  await daemon.end();
  await daemon.begin();
  assert.deepEqual([await daemon.call('images', '-q'), layers()], ['', [hash]], 'also at the next start');
  await daemon.end();
  renameSync(`${path}.elsewhere`, path);
  for (const note of findAside(path)) rmSync(note);
  await daemon.begin();
  assert.equal(await daemon.call('images', '-q'), `base:${hash}\n`);
});

test('rm removes a tree deeper than any path, and ps answers meanwhile', async () => {
  // A path holds 2,000 of them: two such pieces, one moved to the bottom of the other. hostile.daemon.test.ts has six.
  const script = `p=; i=0; while [ $i -lt 1700 ]; do p=$p/d; i=$((i+1)); done; mkdir -p a$p
    for piece in 1; do mkdir -p b$p && mv a b$p && mv b a || exit 1; done; echo made`;
  const id = await run('base', 'sh', '-c', script);
  await daemon.stopped(id);
  assert.equal(await daemon.call('logs', id), 'made\n');
  const removed = daemon.call('rm', id);
  for (let calls = 0; calls < 10; calls++) {
    const began = performance.now();
    await daemon.call('ps', '-q');
    assert.ok(performance.now() - began < 1_000);
  }
  assert.equal(await removed, '');
  assert.deepEqual(readdirSync(join(daemon.directory, 'containers')), []);
});
