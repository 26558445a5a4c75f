// The packer: which entries a tree gives, in which order and to the last bit the same ones; and that a container that changes
// the tree meanwhile gains nothing.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  constants, existsSync, linkSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync,
  truncateSync, unlinkSync, utimesSync, writeFileSync,
} from 'node:fs'; // prettier-ignore
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { Packer, type PackOptions } from '../../src/archive/pack.js';
import { TarReader } from '../../src/archive/tar-reader.js';
import { Unpacker } from '../../src/archive/unpack.js';
import { walkTree, type WalkedEntry } from '../../src/archive/walk-tree.js';
import * as at from '../../src/linux/at.js';
import { lreadxattrs, lsetxattrAt } from '../../src/linux/xattr.js';
import { until } from '../harness.js';
import { namesIn, pack, readArchive } from './read-archive.js';
import { makeSampleTree } from './sample-tree.js';
import { temporaryFolder } from './tar-builder.js';

const { O_DIRECTORY, O_RDONLY, S_IFCHR, S_IFIFO } = constants;
const DEPTH = 10_000;
const CHURN = fileURLToPath(new URL('../../../test/archive/churn.py', import.meta.url));

const plain = (root: string): PackOptions => ({ root, form: 'plain' });

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function inFolder(folder: string, body: (fd: number) => void): void {
  const fd = at.openat(at.AT_FDCWD, at.nativeName(folder), O_RDONLY | O_DIRECTORY);
  try {
    body(fd);
  } finally {
    at.close(fd);
  }
}

function setXattr(folder: string, name: string, value: string): void {
  inFolder(folder, (fd) => lsetxattrAt(fd, at.nativeName('.'), Buffer.from(name), Buffer.from(value)));
}

// Lets `change` act on the tree after `path` was looked at and before it is opened, as a running container may.
function packWhile(root: string, path: string, change: () => void): string[] {
  function* entries(): Generator<WalkedEntry> {
    for (const entry of walkTree(root, 'plain')) {
      if (entry.path === path) change();
      yield entry;
    }
  }
  const before = openDescriptors();
  const packer = new Packer(plain(root), entries());
  const buffer = Buffer.alloc(1 << 20);
  const length = packer.fill(buffer);
  packer.close();
  assert.equal(openDescriptors(), before);
  return readArchive(buffer.subarray(0, length)).map(({ name, content }) => `${name.toString()}=${content.toString()}`);
}

test('Packer gives the same bytes whatever the size of the buffers', (t) => {
  const folder = temporaryFolder(t);
  makeSampleTree(folder, { hasLongNames: true, hasDevices: true });
  const before = openDescriptors();
  const whole = pack(plain(folder), 64 << 20);
  for (const size of [97, 512, 65_536]) assert.ok(pack(plain(folder), size).equals(whole));
  assert.equal(whole.length % 10_240, 0);
  assert.ok(whole.subarray(-1024).equals(Buffer.alloc(1024)));
  assert.equal(openDescriptors(), before);
});

test('Packer fills a buffer to its end unless the archive ends', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'f'), Buffer.alloc(30_000, 'f'));
  const packer = new Packer(plain(folder));
  t.after(() => packer.close());
  const lengths = Array.from({ length: 7 }, () => packer.fill(Buffer.alloc(10_000)));
  assert.deepEqual(lengths, [10_000, 10_000, 10_000, 10_000, 960, 0, 0]);
});

test('Packer goes depth first, by the bytes of the names, the root first', (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['b/z', 'b/a', 'a-b', 'a']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'a/f'), '');
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.of(0xff)]), '');
  writeFileSync(join(folder, 'é'), '');
  assert.deepEqual(namesIn(pack(plain(folder))), ['./', './a/', './a/f', './a-b/', './b/', './b/a/', './b/z/', './\xc3\xa9', './\xff']);
}); // prettier-ignore

test('Packer makes the same archive of a copy, whatever inodes and times of access it has', (t) => {
  const folder = temporaryFolder(t);
  const [one, other] = [join(folder, 'one'), join(folder, 'other')];
  mkdirSync(one);
  makeSampleTree(one, { hasLongNames: true, hasDevices: true });
  const before = pack(plain(one));
  execFileSync('cp', ['-a', '--sparse=always', one, other]);
  utimesSync(join(one, 'large'), new Date(0), lstatSync(join(other, 'large')).mtime); // the fraction is lost: put back
  execFileSync('touch', ['-r', join(other, 'large'), '-m', join(one, 'large')]);
  assert.ok(pack(plain(other)).equals(before));
  assert.ok(pack(plain(one)).equals(before));
});

test('Packer names later names of a file, a link or a device as hard links', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'b'), 'content');
  symlinkSync('b', join(folder, 'link'));
  inFolder(folder, (fd) => at.mknodat(fd, at.nativeName('fifo'), S_IFIFO | 0o600));
  for (const [from, to] of [['b', 'c'], ['b', 'd'], ['link', 'link2'], ['fifo', 'fifo2']] as const) {
    linkSync(join(folder, from), join(folder, to));
  } // prettier-ignore
  linkSync(join(folder, 'b'), join(folder, '0'));
  const entries = readArchive(pack({ ...plain(folder), skip: ['0'] }));
  assert.deepEqual(
    entries.map(({ kind, name, linkName }) => [kind, name.toString(), linkName.toString()]),
    [
      ['directory', './', ''],
      ['file', './b', ''],
      ['hardlink', './c', './b'],
      ['hardlink', './d', './b'],
      ['fifo', './fifo', ''],
      ['hardlink', './fifo2', './fifo'],
      ['symlink', './link', 'b'],
      ['hardlink', './link2', './link'],
    ],
  );
});

test('Packer leaves out what is skipped, with all that is in it, and sockets', async (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'a/b/c'), { recursive: true });
  mkdirSync(join(folder, 'ab'));
  const server = createServer().listen(join(folder, 'socket'));
  t.after(() => server.close());
  await once(server, 'listening');
  assert.deepEqual(namesIn(pack({ ...plain(folder), skip: ['a/b', 'nothing'] })), ['./', './a/', './ab/']);
});

test('Packer writes the whiteouts of an aufs branch, and drops what aufs keeps for itself', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'd'));
  mkdirSync(join(folder, '.wh..wh.plnk'));
  for (const name of ['.wh.gone', 'd/.wh..wh..opq', 'd/-', 'd/.wh.x', '.wh..wh.aufs', '.wh..wh.plnk/1']) {
    writeFileSync(join(folder, name), 'not for the archive');
  }
  const entries = readArchive(pack({ root: folder, form: 'aufs', refuseWhiteoutNames: true }));
  assert.deepEqual(entries.map(({ name }) => name.toString()), ['./', './.wh.gone', './d/', './d/.wh..wh..opq', './d/-', './d/.wh.x']); // prettier-ignore
  for (const { name, mode, uid, gid, mtimeNs, size, kind } of entries.filter(({ name }) => name.includes('.wh.'))) {
    assert.deepEqual([kind, mode, uid, gid, mtimeNs, size], ['file', 0o444, 0, 0, 0n, 0], name.toString());
  }
  assert.deepEqual(namesIn(pack(plain(join(folder, 'd')))), ['./', './-', './.wh..wh..opq', './.wh.x']);
});

test('Packer writes the whiteouts of an overlay, and leaves its attributes out', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'd'));
  writeFileSync(join(folder, 'd/-'), '');
  inFolder(folder, (fd) => {
    for (const name of ['gone', 'd/x']) at.mknodat(fd, at.nativeName(name), S_IFCHR);
    at.mknodat(fd, at.nativeName('null'), S_IFCHR | 0o666, 1, 3);
  });
  setXattr(join(folder, 'd'), 'trusted.overlay.opaque', 'y');
  setXattr(join(folder, 'd'), 'trusted.overlay.origin', 'x');
  setXattr(join(folder, 'd'), 'trusted.tsdock', 'kept');
  const entries = readArchive(pack({ root: folder, form: 'overlay', refuseWhiteoutNames: true }));
  assert.deepEqual(entries.map(({ name }) => name.toString()), ['./', './.wh.gone', './d/', './d/.wh..wh..opq', './d/-', './d/.wh.x', './null']); // prettier-ignore
  assert.deepEqual([...(entries[2]?.xattrs.keys() ?? [])], ['trusted.tsdock']);
});

test('Packer gives the same archive of the same deletions in both forms', (t) => {
  const folder = temporaryFolder(t);
  const [aufs, overlay] = [join(folder, 'aufs'), join(folder, 'overlay')];
  for (const root of [aufs, overlay]) mkdirSync(join(root, 'd'), { recursive: true });
  for (const name of ['.wh.gone', 'd/.wh..wh..opq']) writeFileSync(join(aufs, name), '');
  inFolder(overlay, (fd) => at.mknodat(fd, at.nativeName('gone'), S_IFCHR));
  setXattr(join(overlay, 'd'), 'trusted.overlay.opaque', 'y');
  for (const root of [aufs, overlay]) for (const name of ['d', '.']) utimesSync(join(root, name), 5, 5);
  assert.ok(pack({ root: aufs, form: 'aufs' }).equals(pack({ root: overlay, form: 'overlay' })));
});

test('Packer refuses a real name that would read as a deletion, where it is told to', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'a/.wh.\n'), { recursive: true });
  assert.deepEqual(namesIn(pack(plain(folder))), ['./', './a/', './a/.wh.\n/']);
  const before = openDescriptors();
  assert.throws(
    () => pack({ root: folder, form: 'overlay', refuseWhiteoutNames: true }),
    /^ArchiveError: Cannot pack "a\/\.wh\.\\n": a name that begins with "\.wh\." stands for a deletion in a layer$/,
  );
  assert.equal(openDescriptors(), before);
});

test('Packer fills a file that shrinks with zeros, and cuts one that grows', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'f');
  for (const size of [0, 5000, 500_000]) {
    writeFileSync(path, Buffer.alloc(100_000, 'f'));
    const packer = new Packer(plain(folder));
    const parts: Buffer[] = [];
    const buffer = Buffer.alloc(20_000);
    for (let length = packer.fill(buffer); length > 0; length = packer.fill(buffer)) {
      parts.push(Buffer.from(buffer.subarray(0, length)));
      truncateSync(path, size);
    }
    packer.close();
    const [, file] = readArchive(Buffer.concat(parts));
    assert.equal(file?.content.length, 100_000);
    assert.ok(file.content.subarray(0, 15_000).equals(Buffer.alloc(15_000, 'f')));
    const rest = file.content.subarray(20_000);
    assert.ok(rest.equals(Buffer.alloc(rest.length, size === 500_000 ? 'f' : 0)) || size === 500_000);
  }
});

test('Packer leaves out what vanishes between the look and the opening', (t) => {
  const folder = temporaryFolder(t);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, name), name);
  mkdirSync(join(folder, 'd/e'), { recursive: true });
  symlinkSync('x', join(folder, 'l'));
  assert.deepEqual(packWhile(folder, 'b', () => unlinkSync(join(folder, 'b'))), ['./=', './a=a', './c=c', './d/=', './d/e/=', './l=']); // prettier-ignore
  assert.deepEqual(packWhile(folder, 'l', () => unlinkSync(join(folder, 'l'))), ['./=', './a=a', './c=c', './d/=', './d/e/=']); // prettier-ignore
  assert.deepEqual(packWhile(folder, 'd', () => rmSync(join(folder, 'd'), { recursive: true })), ['./=', './a=a', './c=c']); // prettier-ignore
});

test('Packer opens nothing but a regular file, and nothing outside', (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'tree/f');
  mkdirSync(join(folder, 'tree'));
  writeFileSync(join(folder, 'secret'), 'secret');
  const replaced = (make: () => void): string[] => {
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, 'listed');
    return packWhile(join(folder, 'tree'), 'f', () => {
      unlinkSync(path);
      make();
    });
  };
  const node = (mode: number, major = 0, minor = 0): void =>
    inFolder(join(folder, 'tree'), (fd) => at.mknodat(fd, at.nativeName('f'), mode, major, minor));
  assert.deepEqual(replaced(() => symlinkSync('../secret', path)), ['./=']); // prettier-ignore
  assert.deepEqual(replaced(() => mkdirSync(path)), ['./=']); // prettier-ignore
  assert.deepEqual(
    replaced(() => node(S_IFIFO | 0o600)),
    ['./='],
  ); // it would wait for a writer
  assert.deepEqual(
    replaced(() => node(S_IFCHR | 0o600, 1, 5)),
    ['./='],
  ); // an endless file
  // What took its place in one step is the file of that name.
  writeFileSync(join(folder, 'new'), 'replaced');
  assert.deepEqual(replaced(() => renameSync(join(folder, 'new'), path)), ['./=', './f=replaced']); // prettier-ignore
});

test('Packer does not follow a directory that becomes a symbolic link', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'tree/d'), { recursive: true });
  mkdirSync(join(folder, 'outside'));
  writeFileSync(join(folder, 'outside/secret'), 'secret');
  const names = packWhile(join(folder, 'tree'), 'd', () => {
    rmSync(join(folder, 'tree/d'), { recursive: true });
    symlinkSync('../outside', join(folder, 'tree/d'));
  });
  assert.ok(!names.join().includes('secret'), names.join());
});

test('Packer fails with the name of what cannot be read', (t) => {
  const before = openDescriptors();
  const isFailure = (message: RegExp) => (error: unknown) =>
    error instanceof ArchiveError && message.test(error.message);
  assert.throws(() => pack(plain('/nonexistent')), isFailure(/^Cannot pack "\/nonexistent": openat .*no such file/));
  assert.throws(
    () => pack(plain('/proc/self/status')),
    isFailure(/^Cannot pack "\/proc\/self\/status": .*not a directory/),
  );
  // A file of the kernel's that can only be written.
  const root = '/sys/bus/platform';
  if (!existsSync(join(root, 'drivers_probe'))) t.diagnostic('there is no file here that root cannot read');
  else assert.throws(() => pack({ ...plain(root), skip: ['drivers'] }), isFailure(/^Cannot pack "drivers_probe": .*permission denied/)); // prettier-ignore
  assert.equal(openDescriptors(), before);
});

test('Packer gives its descriptors back when it is closed in the middle of a file', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  writeFileSync(join(folder, 'a/b/f'), Buffer.alloc(100_000));
  const before = openDescriptors();
  const packer = new Packer(plain(folder));
  packer.fill(Buffer.alloc(10_000));
  assert.ok(openDescriptors() > before);
  packer.close();
  assert.equal(openDescriptors(), before);
  new Packer(plain(folder)).close();
});

test('Packer keeps holes, and Unpacker makes them again', (t) => {
  const folder = temporaryFolder(t);
  mkdirSync(join(folder, 'tree'));
  const path = join(folder, 'tree/sparse');
  writeFileSync(path, 'begin');
  truncateSync(path, 9 * 2 ** 30);
  const archive = pack(plain(join(folder, 'tree')));
  assert.ok(archive.length < 100_000, `${archive.length} bytes`);
  unpack(archive, join(folder, 'copy'));
  const stats = lstatSync(join(folder, 'copy/sparse'));
  assert.equal(stats.size, 9 * 2 ** 30);
  assert.ok(stats.blocks < 100);
  assert.ok(pack(plain(join(folder, 'copy'))).equals(archive));
});

test('Packer and Unpacker copy 10,000 nested folders', (t) => {
  const folder = temporaryFolder(t);
  makeNested(join(folder, 'tree'), DEPTH);
  const openBefore = openDescriptors();

  const packer = new Packer(plain(join(folder, 'tree')));
  const unpacker = new Unpacker(join(folder, 'copy'));
  const reader = new TarReader(unpacker);
  const buffer = Buffer.alloc(1 << 20);
  for (let length = packer.fill(buffer); length > 0; length = packer.fill(buffer))
    reader.push(buffer.subarray(0, length));
  reader.end();
  const before = process.cpuUsage();
  unpacker.end();
  const { user, system } = process.cpuUsage(before);
  unpacker.close();
  packer.close();

  // Of the processor: how long a busy disk takes is not the unpacker's. Each looked up from the top takes 20 seconds.
  const took = (user + system) / 1000;
  assert.ok(took < 4000, `the times of the directories took ${took} ms`);
  assert.equal(openDescriptors(), openBefore);
  let count = 0;
  for (const { kind, stat, depth } of walkTree(join(folder, 'copy'), 'plain')) {
    count++;
    if (kind === 'directory') assert.equal(stat.mtimeNs, count === 1 ? stat.mtimeNs : BigInt(depth) * 1_000_000_001n);
  }
  assert.equal(count, DEPTH + 3);
});

// A folder in a folder, and so on; in the innermost a file of two names. Each has a time of its own.
function makeNested(root: string, depth: number): void {
  mkdirSync(root);
  let fd = at.openat(at.AT_FDCWD, at.nativeName(root), O_RDONLY | O_DIRECTORY);
  const name = at.nativeName('d');
  const fds: number[] = [];
  for (let level = 0; level < depth; level++) {
    at.mkdirat(fd, name, 0o755);
    const inner = at.openat(fd, name, O_RDONLY | O_DIRECTORY);
    fds.push(fd);
    fd = inner;
    if (fds.length > 2) at.close(fds.shift() ?? -1);
    const outer = fds.at(-1) ?? -1;
    at.utimensat(outer, name, BigInt(level) * 1_000_000_001n);
    if (level > 0) at.utimensat(fds.at(-2) ?? -1, name, BigInt(level - 1) * 1_000_000_001n); // it was changed since
  }
  writeFileSync(`/proc/self/fd/${fd}/f`, 'content');
  at.linkat(fd, at.nativeName('f'), fd, at.nativeName('g'));
  at.futimens(fd, BigInt(depth - 1) * 1_000_000_001n);
  for (const open of [...fds, fd]) at.close(open);
}

function unpack(archive: Buffer, folder: string): void {
  const unpacker = new Unpacker(folder);
  try {
    const reader = new TarReader(unpacker);
    reader.push(archive);
    reader.end();
    unpacker.end();
  } finally {
    unpacker.close();
  }
}

test('Packer reads attributes of everything that can have them', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  mkdirSync(join(folder, 'folder'));
  symlinkSync('x', join(folder, 'link'));
  inFolder(folder, (fd) => {
    at.mknodat(fd, at.nativeName('fifo'), S_IFIFO | 0o600);
    at.mknodat(fd, at.nativeName('device'), S_IFCHR | 0o600, 1, 3);
    for (const name of ['file', 'folder', 'link', 'fifo', 'device', '.']) {
      lsetxattrAt(fd, at.nativeName(name), Buffer.from('trusted.tsdock'), Buffer.from(name));
    }
  });
  const entries = readArchive(pack(plain(folder)));
  assert.equal(entries.length, 6);
  for (const { name, xattrs } of entries) {
    const expected = name.toString() === './' ? '.' : name.toString().replace(/^\.\/|\/$/g, '');
    assert.equal(xattrs.get('trusted.tsdock')?.toString(), expected);
  }
  assert.ok(lreadxattrs(folder).size > 0);
});

test('Packer makes a sound archive of a tree that changes all the time', async (t) => {
  const folder = temporaryFolder(t);
  const [tree, outside] = [join(folder, 'tree'), join(folder, 'outside')];
  mkdirSync(tree);
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  const churn = spawn('python3', [CHURN, tree, outside], { stdio: 'ignore' });
  try {
    const before = openDescriptors();
    let entries = 0;
    await until(() => readdirSync(tree).length > 0, 'it changes');
    for (const deadline = performance.now() + 3000; performance.now() < deadline;) {
      const archive = pack(plain(tree));
      assert.ok(!archive.includes('secret'.padEnd(512, '\0')), 'it read what lies outside');
      entries += readArchive(archive).length;
    }
    assert.ok(entries > 100, `${entries} entries`);
    assert.equal(openDescriptors(), before);
    assert.deepEqual(readdirSync(outside), ['secret']);
  } finally {
    churn.kill('SIGKILL');
    await once(churn, 'exit');
  }
});
