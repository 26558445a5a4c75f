// A directory that is to look as another one.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { copyDirectoryAttributes } from '../../src/archive/directory-attributes.js';
import { temporaryFolder } from './tar-builder.js';

test('copyDirectoryAttributes() carries mode and time over, and leaves nothing open, also where the other is missing', (t) => {
  const folder = temporaryFolder(t);
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  for (const path of [from, to]) mkdirSync(path);
  chmodSync(from, 0o1711);
  const open = readdirSync('/proc/self/fd');
  copyDirectoryAttributes(from, to);
  assert.equal(statSync(to).mode, statSync(from).mode);
  assert.equal(statSync(to, { bigint: true }).mtimeNs, statSync(from, { bigint: true }).mtimeNs);
  assert.throws(() => copyDirectoryAttributes(from, join(folder, 'missing')), { code: 'ENOENT' });
  assert.throws(() => copyDirectoryAttributes(join(folder, 'missing'), to), { code: 'ENOENT' });
  assert.deepEqual(readdirSync('/proc/self/fd'), open);
});
