import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mkfifo } from '../../src/linux/pipe.js';
import { placeSeccompProfile } from '../../src/lxc/seccomp-profile.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('placeSeccompProfile() writes the list of system calls, and puts right what stands in its place', async (t) => {
  const folder = temporaryFolder(t);
  const log: string[] = [];
  const place = (): Promise<string> => placeSeccompProfile(folder, (line) => void log.push(line));
  const path = await place();
  assert.equal(path, join(folder, 'lxc.seccomp'));
  assert.match(readFileSync(path, 'utf8'), /^2\nblacklist\n(#.*\n)*\[all\]\n/);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, '2\nblacklist\n');
  await place();
  assert.equal(readFileSync(path, 'utf8'), text);
  assert.deepEqual(readdirSync(folder), ['lxc.seccomp']);
  assert.deepEqual(log, []);
  rmSync(path);
  mkfifo(path, 0o600);
  await place();
  assert.equal(readFileSync(path, 'utf8'), text);
  assert.match(log.join('\n'), /lxc\.seccomp\.damaged-.* was .*lxc\.seccomp, which cannot be used: .*FIFO/);
});
