// The unpacker: that what it writes is what the archive says, to the last bit, and that nothing lands outside.

import assert from 'node:assert/strict';
import {
  existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs'; // prettier-ignore
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { TarReader } from '../../src/archive/tar-reader.js';
import { Unpacker } from '../../src/archive/unpack.js';
import { lreadxattrs } from '../../src/linux/xattr.js';
import { archive, entry, pax, temporaryFolder } from './tar-builder.js';

const directory = (name: string): Buffer => entry({ name, type: '5', mode: 0o755 });
const file = (name: string, content = 'content'): Buffer => entry({ name, content });
const symlink = (name: string, linkName: string): Buffer => entry({ name, type: '2', linkName });
const hardlink = (name: string, linkName: string): Buffer => entry({ name, type: '1', linkName });

// A folder with a secret, beside which the layer lies.
function layerFolder(t: TestContext): { layer: string; outside: string } {
  const folder = temporaryFolder(t);
  const outside = join(folder, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  return { layer: join(folder, 'layer'), outside };
}

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function unpack(layer: string, ...parts: Buffer[]): void {
  const before = openDescriptors();
  const unpacker = new Unpacker(layer);
  try {
    const reader = new TarReader(unpacker);
    reader.push(archive(...parts));
    reader.end();
    unpacker.end();
  } finally {
    unpacker.close();
    assert.equal(openDescriptors(), before);
  }
}

function assertRefused(layer: string, message: RegExp, ...parts: Buffer[]): void {
  const isExpected = (error: unknown): boolean => error instanceof ArchiveError && message.test(error.message);
  assert.throws(() => unpack(layer, ...parts), isExpected);
}

function assertUntouched(outside: string): void {
  assert.deepEqual(readdirSync(outside), ['secret']);
  assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
  assert.equal(lstatSync(join(outside, 'secret')).nlink, 1);
}

test('Unpacker refuses `..` in names and in targets of hard links', (t) => {
  const { layer, outside } = layerFolder(t);
  assertRefused(layer, /^Cannot unpack "\.\.\/outside\/x": a "\.\." in a name could lead out/, file('../outside/x'));
  assertRefused(layer, /could lead out/, directory('a'), file('a/../../outside/x'));
  assertRefused(layer, /could lead out/, file('/../outside/x'));
  assertRefused(layer, /could lead out/, directory('..'));
  assertRefused(layer, /could lead out/, hardlink('x', '../outside/secret'));
  assertUntouched(outside);
});

test('Unpacker takes absolute names as names in the layer', (t) => {
  const { layer, outside } = layerFolder(t);
  unpack(layer, file(join(outside, 'secret'), 'other'), file('//etc/./x'), hardlink('/y', '/etc/x'));
  assertUntouched(outside);
  assert.equal(readFileSync(join(layer, outside, 'secret'), 'utf8'), 'other');
  assert.equal(statSync(join(layer, 'etc/x')).ino, statSync(join(layer, 'y')).ino);
});

test('Unpacker does not write through a symbolic link that leads outside', (t) => {
  const { layer, outside } = layerFolder(t);
  assertRefused(layer, /"link" is a symbolic link that leads nowhere/, symlink('link', outside), file('link/x'));
  assertRefused(layer, /leads nowhere/, symlink('up', '../outside'), directory('up/x'));
  assertRefused(layer, /no such file/, symlink('link', outside), hardlink('x', 'link/secret'));
  assertRefused(layer, /no such file/, hardlink('x', '/etc/passwd'));
  assertUntouched(outside);
  assert.equal(readlinkSync(join(layer, 'link')), outside);
});

test('Unpacker follows a symbolic link to a directory inside the layer', (t) => {
  const { layer } = layerFolder(t);
  unpack(
    layer,
    directory('usr'),
    directory('usr/lib'),
    symlink('lib', 'usr/lib'),
    file('lib/a'),
    symlink('abs', '/usr/lib'),
    file('abs/b'),
  );
  assert.deepEqual(readdirSync(join(layer, 'usr/lib')), ['a', 'b']);
});

test('Unpacker notices a directory that becomes a symbolic link in the middle', (t) => {
  const { layer, outside } = layerFolder(t);
  assertRefused(layer, /leads nowhere/, directory('d'), file('d/a'), symlink('d', outside), file('d/secret', 'x'));
  assertRefused(
    layer,
    /leads nowhere/,
    directory('e/f'),
    file('e/f/a'),
    symlink('e', '../outside'),
    file('e/f/secret'),
  );
  unpack(layer, directory('one'), directory('two'), symlink('s', 'one'), file('s/x'), symlink('s', 'two'), file('s/y'));
  assert.deepEqual([readdirSync(join(layer, 'one')), readdirSync(join(layer, 'two'))], [['x'], ['y']]);
  assertUntouched(outside);
});

test('Unpacker replaces a symbolic link at the last component and does not follow it', (t) => {
  const { layer, outside } = layerFolder(t);
  const secret = join(outside, 'secret');
  unpack(
    layer,
    symlink('a', secret),
    file('a', 'mine'),
    symlink('b', secret),
    directory('b'),
    symlink('c', secret),
    entry({ name: 'c', type: '6' }),
  );
  assertUntouched(outside);
  assert.equal(readFileSync(join(layer, 'a'), 'utf8'), 'mine');
  assert.ok(lstatSync(join(layer, 'b')).isDirectory());
  assert.ok(lstatSync(join(layer, 'c')).isFIFO());
});

test('Unpacker leaves what lies behind a link alone when it removes a directory', (t) => {
  const { layer, outside } = layerFolder(t);
  unpack(layer, directory('d/e'), symlink('d/e/link', outside), file('d/x'), file('d', 'now a file'));
  assertUntouched(outside);
  assert.equal(readFileSync(join(layer, 'd'), 'utf8'), 'now a file');
});

test('Unpacker links a symbolic link itself', (t) => {
  const { layer, outside } = layerFolder(t);
  unpack(layer, symlink('a', join(outside, 'secret')), hardlink('b', 'a'));
  assert.ok(lstatSync(join(layer, 'b')).isSymbolicLink());
  assertUntouched(outside);
});

test('Unpacker lets later entries replace earlier ones', (t) => {
  const { layer } = layerFolder(t);
  unpack(
    layer,
    file('a', '1'),
    hardlink('b', 'a'),
    file('a', '2'),
    file('c'),
    directory('c'),
    file('c/d'),
    directory('c'),
  );
  assert.equal(readFileSync(join(layer, 'a'), 'utf8'), '2');
  assert.equal(readFileSync(join(layer, 'b'), 'utf8'), '1');
  assert.deepEqual(readdirSync(join(layer, 'c')), ['d']);
});

test('Unpacker keeps a file that an entry links to itself', (t) => {
  const { layer } = layerFolder(t);
  unpack(layer, file('a', '1'), hardlink('a', 'a'), symlink('s', '.'), hardlink('s/a', './a'));
  assert.equal(readFileSync(join(layer, 'a'), 'utf8'), '1');
});

test('Unpacker makes missing parents with mode 0755 of root, whatever the umask', (t) => {
  const { layer } = layerFolder(t);
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const deep = 'd/'.repeat(100);
  unpack(
    layer,
    file(`${deep.slice(0, 90)}x`),
    pax({ path: `${deep}y` }),
    file('short'),
    entry({ name: 'm', mode: 0o6777, uid: 5, gid: 6 }),
  );
  for (const name of ['', 'd', 'd/d/d']) assert.equal(statSync(join(layer, name)).mode, 0o40755);
  const stats = statSync(join(layer, 'm'));
  assert.deepEqual([stats.mode, stats.uid, stats.gid], [0o106777, 5, 6]);
  assert.ok(existsSync(join(layer, deep, 'y')));
});

test('Unpacker gives the layer itself the owner, mode and time of the root entry', (t) => {
  const { layer } = layerFolder(t);
  unpack(layer, entry({ name: './', type: '5', mode: 0o1777, uid: 1, gid: 2, mtime: 1000 }), file('./a'));
  const stats = statSync(layer);
  assert.deepEqual([stats.mode, stats.uid, stats.gid, stats.mtimeMs], [0o41777, 1, 2, 1_000_000]);
  assertRefused(layer, /the name is that of the layer itself/, file('./'.repeat(3) + '.'));
});

test('Unpacker sets times of directories last, and attributes after the owner', (t) => {
  const { layer } = layerFolder(t);
  const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
  unpack(layer, pax({ mtime: '5.000000006', 'SCHILY.xattr.trusted.tsdock': 'd' }), directory('d'),
    pax({ mtime: '-7.5', 'SCHILY.xattr.security.capability': capability }), entry({ name: 'd/f', uid: 9, content: 'f', mode: 0o4755 }),
    directory('gone'), file('gone'), directory('late'), file('d/g')); // prettier-ignore
  assert.equal(lstatSync(join(layer, 'd'), { bigint: true }).mtimeNs, 5_000_000_006n);
  assert.equal(lreadxattrs(join(layer, 'd')).get('trusted.tsdock')?.toString(), 'd');
  assert.equal(lstatSync(join(layer, 'd/f'), { bigint: true }).mtimeNs, -7_500_000_000n);
  assert.deepEqual(lreadxattrs(join(layer, 'd/f')).get('security.capability'), capability);
  assert.equal(lstatSync(join(layer, 'd/f')).mode, 0o104755);
});

test('Unpacker passes over attributes of name spaces that the file system does not have', (t) => {
  const { layer } = layerFolder(t);
  unpack(layer, pax({ 'SCHILY.xattr.com.example.provenance': 'x' }), file('a'));
  assert.equal(lreadxattrs(join(layer, 'a')).size, 0);
});

test('Unpacker makes devices, fifos and whiteouts as they come', (t) => {
  const { layer } = layerFolder(t);
  unpack(layer, entry({ name: 'null', type: '3', mode: 0o666, device: [1, 3], magic: 'ustar  \0' }), entry({ name: 'disk', type: '4', device: [8, 1] }),
    entry({ name: 'pipe', type: '6', uid: 3 }), file('.wh.gone', ''), file('.wh..wh..opq', '')); // prettier-ignore
  assert.deepEqual([lstatSync(join(layer, 'null')).mode, lstatSync(join(layer, 'null')).rdev], [0o20666, 0x103]);
  assert.deepEqual([lstatSync(join(layer, 'disk')).mode, lstatSync(join(layer, 'disk')).rdev], [0o60644, 0x801]);
  assert.deepEqual([lstatSync(join(layer, 'pipe')).mode, lstatSync(join(layer, 'pipe')).uid], [0o10644, 3]);
  assert.deepEqual(readdirSync(layer).sort(), ['.wh..wh..opq', '.wh.gone', 'disk', 'null', 'pipe']);
});

test('Unpacker says which entry could not be written, and why', (t) => {
  const { layer } = layerFolder(t);
  assertRefused(layer, /^Cannot unpack "f\/x": openat2 'f': not a directory$/, file('f'), file('f/x'));
  assertRefused(layer, /^Cannot unpack "n+…": .*name too long$/, pax({ path: 'n'.repeat(300) }), file('a'));
  assertRefused(
    layer,
    /Cannot unpack "\\u001b\[2J": .*NUL/,
    pax({ path: '\x1b[2J' }),
    symlink('a', 'x'),
    pax({ path: '\x1b[2J', linkpath: 'a\0b' }),
    symlink('a', ''),
  );
  assertRefused(layer, /owner 4294967295:0 is out of range/, pax({ uid: '4294967295' }), file('a'));
  assertRefused(
    layer,
    /mknodat 'dev': invalid argument/,
    pax({ 'SCHILY.devmajor': '5000' }),
    entry({ name: 'dev', type: '3' }),
  );
  assertRefused(
    layer,
    /file too large|invalid argument/,
    pax({ 'GNU.sparse.size': '9007199254740991', 'GNU.sparse.map': '' }),
    file('huge', ''),
  );
});

test('Unpacker keeps more directories apart than it keeps open', (t) => {
  const { layer } = layerFolder(t);
  const names = Array.from({ length: 200 }, (_, at) => `d${at}`);
  unpack(
    layer,
    ...names.map(directory),
    ...names.map((name) => file(`${name}/f`, name)),
    ...names.map((name) => file(`${name}/g`, name)),
  );
  for (const name of names) assert.equal(readFileSync(join(layer, name, 'g'), 'utf8'), name);
});

test('Unpacker begins in a folder that is there, and refuses a file', (t) => {
  const { layer } = layerFolder(t);
  mkdirSync(layer, { mode: 0o700 });
  unpack(layer, file('a'));
  assert.equal(statSync(layer).mode, 0o40755);
  const before = openDescriptors();
  assert.throws(() => new Unpacker(join(layer, 'a')), /EEXIST|not a directory/);
  symlinkSync('nowhere', join(layer, 'dangling'));
  assert.throws(() => new Unpacker(join(layer, 'dangling/x')));
  assert.equal(openDescriptors(), before);
});
