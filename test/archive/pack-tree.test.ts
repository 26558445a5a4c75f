// The stream of a tree: that what comes out makes the same tree again, and that nothing is left behind, whoever goes away when.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { buffer } from 'node:stream/consumers';
import test, { type TestContext } from 'node:test';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { importLayer } from '../../src/archive/import-layer.js';
import { packTree } from '../../src/archive/pack-tree.js';
import * as at from '../../src/linux/at.js';
import { lsetxattrAt } from '../../src/linux/xattr.js';
import { STEP_CHANNEL, type Step } from '../../src/util/steps.js';
import { openDescriptors } from '../open-descriptors.js';
import { pack } from './read-archive.js';
import { makeSampleTree } from './sample-tree.js';
import { temporaryFolder } from './tar-builder.js';
import { treeOf } from './tree.js';

const MIB = 1024 * 1024;

// What a stream may not leave behind.
function resources(): object {
  const workers = process.getActiveResourcesInfo().filter((name) => /worker|messageport/i.test(name));
  return { descriptors: openDescriptors('self'), workers };
}

function folderWith(t: TestContext, bytes: number): string {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'large'), Buffer.alloc(bytes, 'large '));
  return folder;
}

function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'nothing happened for a minute');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('packTree() and importLayer() make the identical tree', async (t) => {
  const folder = temporaryFolder(t);
  const source = join(folder, 'source');
  mkdirSync(source);
  makeSampleTree(source, { hasLongNames: true, hasDevices: true });
  const hard = [
    Buffer.alloc(255, 0xff),
    Buffer.from('\n'),
    Buffer.from(`'"\\ $(x)`),
    Buffer.from(' '),
    Buffer.from('-rf'),
  ];
  for (const name of hard) {
    mkdirSync(Buffer.concat([Buffer.from(`${source}/folder/`), name]));
    writeFileSync(Buffer.concat([Buffer.from(`${source}/folder/`), name, Buffer.from('/'), name]), name);
  }
  symlinkSync(Buffer.alloc(4095, 0xe9), join(source, 'far'));
  mkdirSync(join(source, `${'p/'.repeat(300)}q`), { recursive: true });
  const acl = Buffer.from(
    '0200000001000700ffffffff02000600e803000004000500ffffffff10000700ffffffff20000500ffffffff',
    'hex',
  );
  const root = at.openat(at.AT_FDCWD, at.nativeName(source), 0);
  lsetxattrAt(root, at.nativeName('folder'), Buffer.from('system.posix_acl_default'), acl);
  lsetxattrAt(root, at.nativeName('plain'), Buffer.from('system.posix_acl_access'), acl);
  lsetxattrAt(root, at.nativeName('large'), Buffer.from('user.a=b%c'), Buffer.alloc(3000, 'v'));
  at.close(root);
  chmodSync(join(source, 'far', '..', 'block'), 0o7777);

  const archive = packTree({ root: source, form: 'plain' });
  const { digest } = await importLayer(archive, join(folder, 'layer'));

  assert.deepEqual(treeOf(join(folder, 'layer')), treeOf(source));
  assert.equal(
    digest,
    createHash('sha256')
      .update(pack({ root: source, form: 'plain' }))
      .digest('hex'),
  );
});

test('packTree() hands out chunks that are the reader’s own, and ends with nothing left', async (t) => {
  const root = folderWith(t, 5 * MIB);
  const before = resources();
  const stream = packTree({ root, form: 'plain' });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(stream, 'end');
  assert.deepEqual(resources(), before);
  assert.ok(chunks.length < 30, `${chunks.length} chunks`);
  assert.ok(Buffer.concat(chunks).equals(pack({ root, form: 'plain' })));
  await finished(stream);
});

test('packTree() reads no more ahead than a few buffers', async (t) => {
  const root = folderWith(t, 64 * MIB);
  const before = resources();
  const readBefore = bytesRead();
  const stream = packTree({ root, form: 'plain' });
  await once(stream, 'readable');
  stream.read(1000);
  // The worker is asked for something else meanwhile: whoever reads this much has come to its end.
  assert.equal((await buffer(packTree({ root: folderWith(t, 1000), form: 'plain' }))).length, 10_240);
  assert.ok(bytesRead() - readBefore < 8 * MIB, `${bytesRead() - readBefore} bytes were read`);
  stream.destroy();
  await once(stream, 'close');
  assert.deepEqual(resources(), before);
});

test('packTree() ends its worker when the stream is destroyed, early or late', async (t) => {
  const root = folderWith(t, 8 * MIB);
  const before = resources();
  const atOnce = packTree({ root, form: 'plain' }).destroy();
  await once(atOnce, 'close');
  const withError = packTree({ root, form: 'plain' });
  await once(withError, 'readable');
  withError.destroy(new Error('connection lost'));
  await assert.rejects(finished(withError), /^Error: connection lost$/);
  await until(() => withError.closed);
  assert.deepEqual(resources(), before);
  for await (const chunk of packTree({ root, form: 'plain' })) {
    assert.ok(chunk instanceof Buffer);
    break;
  }
  await until(() => JSON.stringify(resources()) === JSON.stringify(before));
});

test('packTree() fails with the error of the packer', async (t) => {
  const folder = temporaryFolder(t);
  const before = resources();
  const isMissing = (error: unknown): boolean =>
    error instanceof ArchiveError &&
    error.code === 'ENOENT' &&
    /^Cannot pack ".*\/missing": openat .*: no such file or directory$/.test(error.message);
  await assert.rejects(buffer(packTree({ root: join(folder, 'missing'), form: 'plain' })), isMissing);
  writeFileSync(join(folder, '.wh.x'), '');
  writeFileSync(join(folder, '!'), Buffer.alloc(2 * MIB));
  const refused = packTree({ root: folder, form: 'plain', refuseWhiteoutNames: true });
  await assert.rejects(importLayer(refused, join(folder, 'layer')), /^ArchiveError: Cannot pack "\.wh\.x": /);
  assert.ok(refused.destroyed);
  await until(() => JSON.stringify(resources()) === JSON.stringify(before));
});

test('packTree() ends when the import that reads it fails', async (t) => {
  const root = folderWith(t, 16 * MIB);
  const before = resources();
  const stream = packTree({ root, form: 'plain' });
  await assert.rejects(importLayer(stream, '/proc/nothing/layer'), /ENOENT/);
  await until(() => stream.closed);
  await until(() => JSON.stringify(resources()) === JSON.stringify(before));
});

test('packTree() packs several trees side by side', async (t) => {
  const roots = [1, 2, 3, 4].map((nth) => folderWith(t, nth * MIB));
  const archives = await Promise.all(roots.map((root) => buffer(packTree({ root, form: 'plain' }))));
  for (const [nth, root] of roots.entries()) assert.ok(archives[nth]?.equals(pack({ root, form: 'plain' })));
});

test('packTree() announces what was packed', async (t) => {
  const root = folderWith(t, 1000);
  const steps: Step[] = [];
  const listener = (message: unknown): number => steps.push(message as Step);
  subscribe(STEP_CHANNEL, listener);
  t.after(() => unsubscribe(STEP_CHANNEL, listener));
  await buffer(packTree({ root, form: 'aufs' }));
  await until(() => steps.length > 0);
  const [step] = steps;
  assert.deepEqual(
    [step?.name, step?.source, step?.facts],
    ['tar', 'utils.go, Tar', { root, form: 'aufs', bytes: 10_240 }],
  );
  assert.ok((step?.durationMs ?? 0) > 0);
});
