// Our archives in the hands of others: GNU tar, bsdtar, busybox tar and Python's tarfile make the tree that was packed, as far
// as each of them can.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chownSync, linkSync, mkdirSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import * as at from '../../src/linux/at.js';
import { lsetxattrAt } from '../../src/linux/xattr.js';
import { pack } from './read-archive.js';
import { makeSampleTree } from './sample-tree.js';
import { temporaryFolder } from './tar-builder.js';
import { treeOf, type TreeOptions } from './tree.js';

const EXTRACT_TAR = fileURLToPath(new URL('../../../test/archive/extract-tar.py', import.meta.url));

interface Reader extends TreeOptions {
  /** the program and its arguments; it reads standard input, and works in the folder to be filled */
  command: string;
  /** a last argument, whose path may hold blanks */
  script?: string;
  /** what it cannot do, of the lines of `treeOf` */
  cannot?: (name: string, line: string) => boolean;
}

const isRoot = (name: string): boolean => name === '.';
const isSymlink = (_: string, line: string): boolean => line.startsWith('120777');
const isSparse = (name: string): boolean => name.startsWith('./sparse') || name === './hole';

const READERS: Record<string, Reader> = {
  'GNU tar': { command: 'tar --xattrs --xattrs-include=* --numeric-owner --warning=no-timestamp -xpf -' },
  // It does not set the time of the folder that it works in.
  bsdtar: { command: 'bsdtar --xattrs --numeric-owner -xpf -', cannot: isRoot },
  // It sets the time of a folder before it fills it, none on a link, and knows of neither attributes nor holes.
  busybox: {
    command: 'busybox tar -xpf -',
    wholeSeconds: true,
    withoutXattrs: true,
    cannot: (name, line) =>
      line.startsWith('4') || isSymlink(name, line) || isSparse(name) || name.includes('GNUSparseFile'),
  },
  // The same for links and attributes; its times are floating point.
  Python: { command: 'python3', script: EXTRACT_TAR, wholeSeconds: true, withoutXattrs: true, cannot: isSymlink },
};

function makeTree(folder: string): void {
  makeSampleTree(folder, { hasLongNames: true, hasDevices: true });
  const path = (name: string): string => join(folder, name);
  const times = { old: -5, older: -7.5, future: 10_000_000_000, 'far-future': 2 ** 33 + 0.5 };
  for (const [name, seconds] of Object.entries(times)) {
    writeFileSync(path(name), name);
    utimesSync(path(name), seconds, seconds);
  }
  writeFileSync(path('large-ids'), '');
  chownSync(path('large-ids'), 4_000_000_000, 3_000_000_000);
  mkdirSync(path(`${'p'.repeat(90)}/${'q'.repeat(60)}`), { recursive: true });
  writeFileSync(path(`${'p'.repeat(90)}/${'q'.repeat(60)}/${'r'.repeat(99)}`), 'a name in two parts');
  writeFileSync(Buffer.concat([Buffer.from(path('u'.repeat(200))), Buffer.of(0xff, 0xe9)]), 'long, and no UTF-8');
  linkSync(path('plain'), path('folder/third-name'));
  // The name in the header is cut off at a slash.
  mkdirSync(path(`${'s'.repeat(48)}/${'s'.repeat(48)}`), { recursive: true });
  writeFileSync(path(`${'s'.repeat(48)}/${'s'.repeat(48)}/${'s'.repeat(160)}`), 'long');
  for (const name of ['hole', 'sparse\xff']) writeFileSync(Buffer.from(path(name), 'latin1'), 'begin');
  truncateSync(path('hole'), 3 * 1024 * 1024);
  truncateSync(Buffer.from(path('sparse\xff'), 'latin1'), 5 * 1024 * 1024);
  const root = at.openat(at.AT_FDCWD, at.nativeName(folder), 0);
  lsetxattrAt(root, at.nativeName('large'), Buffer.from('user.tsdock'), Buffer.of(0, 10, 61, 255));
  lsetxattrAt(root, at.nativeName('large'), Buffer.from('user.\xc3\xa9', 'latin1'), Buffer.of());
  at.close(root);
}

for (const [name, { command, script, cannot, ...options }] of Object.entries(READERS)) {
  test(`${name} makes the tree that was packed by Packer`, (t) => {
    const folder = temporaryFolder(t);
    const [source, target] = [join(folder, 'source'), join(folder, 'target')];
    mkdirSync(source);
    mkdirSync(target);
    makeTree(source);
    const [program = '', ...args] = [...command.split(' '), ...(script === undefined ? [] : [script])];

    const { status, stderr } = spawnSync(program, args, { cwd: target, input: pack({ root: source, form: 'plain' }) });

    assert.deepEqual([status, stderr.toString()], [0, '']);
    const lines = (root: string): object => {
      const tree = Object.entries(treeOf(root, options));
      return Object.fromEntries(tree.filter(([path, line]) => cannot?.(path, line) !== true));
    };
    assert.deepEqual(lines(target), lines(source));
  });
}
