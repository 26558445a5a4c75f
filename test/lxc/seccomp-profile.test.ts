import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { placeSeccompProfile } from '../../src/lxc/seccomp-profile.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('placeSeccompProfile() writes the list of system calls, and puts right what stands in its place', async (t) => {
  const folder = temporaryFolder(t);
  const path = await placeSeccompProfile(folder);
  assert.equal(path, join(folder, 'lxc.seccomp'));
  assert.match(readFileSync(path, 'utf8'), /^2\nblacklist\n(#.*\n)*\[all\]\n/);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, '2\nblacklist\n');
  await placeSeccompProfile(folder);
  assert.equal(readFileSync(path, 'utf8'), text);
  assert.deepEqual(readdirSync(folder), ['lxc.seccomp']);
});
