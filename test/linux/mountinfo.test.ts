// The table of mounts.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { parseMountinfo, readMounts } from '../../src/linux/mountinfo.js';
import { temporaryFolder } from '../archive/tar-builder.js';

test('parseMountinfo() reads lines with and without optional fields, and names with spaces', () => {
  const lines = [
    '22 27 0:21 / /proc rw,relatime - proc proc rw',
    '41 31 0:38 /docker/abc /a\\040b\\134c rw shared:9 master:2 - cgroup2 none rw,nsdelegate',
  ];
  assert.deepEqual(parseMountinfo(lines.join('\n')), [
    { root: '/', path: '/proc', type: 'proc', options: ['rw'] },
    { root: '/docker/abc', path: '/a b\\c', type: 'cgroup2', options: ['rw', 'nsdelegate'] },
  ]);
  assert.deepEqual(parseMountinfo('42 31 0:39 / /x rw - tmpfs  size=4k\n'), [
    { root: '/', path: '/x', type: 'tmpfs', options: ['size=4k'] },
  ]);
});

test('readMounts() has what is mounted now', (t) => {
  const folder = join(realpathSync(temporaryFolder(t)), 'a b');
  mkdirSync(folder);
  const mounted = (): boolean => readMounts().some(({ path, type }) => path === folder && type === 'tmpfs');
  assert.equal(mounted(), false);
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', folder]);
  assert.equal(mounted(), true);
});
