// The unpacker: that what it writes is what the archive says, to the last bit, and that nothing lands outside.

import assert from 'node:assert/strict';
import {
  existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, readlinkSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs'; // prettier-ignore
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { TarReader } from '../../src/archive/tar-reader.js';
import { Unpacker, type WhiteoutMode } from '../../src/archive/unpack.js';
import { walkTree } from '../../src/archive/walk-tree.js';
import { lreadxattrs } from '../../src/linux/xattr.js';
import { pack } from './read-archive.js';
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
  unpackWith('keep', layer, ...parts);
}

function unpackWith(whiteouts: WhiteoutMode, layer: string, ...parts: Buffer[]): void {
  const before = openDescriptors();
  const unpacker = new Unpacker(layer, whiteouts);
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
  assertRefusedWith('keep', layer, message, ...parts);
}

function assertRefusedWith(whiteouts: WhiteoutMode, layer: string, message: RegExp, ...parts: Buffer[]): void {
  const isExpected = (error: unknown): boolean => error instanceof ArchiveError && message.test(error.message);
  assert.throws(() => unpackWith(whiteouts, layer, ...parts), isExpected);
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

test('Unpacker makes parents of a name beyond PATH_MAX, and finds them again', (t) => {
  const { layer } = layerFolder(t);
  const deep = `${'n'.repeat(200)}/`.repeat(50);
  const longFile = (name: string): Buffer =>
    Buffer.concat([entry({ name: 'L', type: 'L', content: `${name}\0` }), file('f', name.slice(-3))]);
  unpack(
    layer,
    longFile(`${deep}a/1`),
    directory('short'),
    longFile(`${deep}b/2`),
    ...Array.from({ length: 70 }, (_, nth) => directory(`other${nth}`)), // more than are kept open
    longFile(`${deep}a/3`),
    Buffer.concat([entry({ name: 'K', type: 'K', content: `${deep}a/1\0` }), hardlink('linked', 'x')]),
  );
  assert.equal(readFileSync(join(layer, 'linked'), 'utf8'), 'a/1');
  assert.equal(statSync(join(layer, 'linked')).nlink, 2);
  const found = [...walkTree(layer, 'plain', (path) => path.startsWith('other'))].filter(({ kind }) => kind === 'file');
  assert.deepEqual(
    found.map(({ path }) => path.slice(-3)),
    ['ked', 'a/1', 'a/3', 'b/2'],
  );
});

test('Unpacker refuses a symbolic link on the way of a name beyond PATH_MAX', (t) => {
  const { layer, outside } = layerFolder(t);
  const deep = `${'n'.repeat(200)}/`.repeat(30);
  const longFile = (name: string): Buffer =>
    Buffer.concat([entry({ name: 'L', type: 'L', content: `${name}\0` }), file('f')]);
  assertRefused(layer, /^Cannot unpack "n+…": openat2 'n.*: too many symbolic links/s, longFile(`${deep}x`),
    Buffer.concat([entry({ name: 'L', type: 'L', content: `${deep}link\0` }), symlink('l', outside)]),
    ...Array.from({ length: 70 }, (_, nth) => file(`other${nth}/f`)), longFile(`${deep}link/secret`)); // prettier-ignore
  assertUntouched(outside);
});

test('Unpacker never sets attributes that steer overlay, and refuses its deletions', (t) => {
  for (const whiteouts of ['keep', 'apply', 'overlay'] as const) {
    const { layer } = layerFolder(t);
    const steer = (): Buffer => pax({ 'SCHILY.xattr.trusted.overlay.redirect': '/etc', 'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.trusted.x': 'x' }); // prettier-ignore
    unpackWith(whiteouts, layer, steer(), directory('d'), steer(), file('f'), steer(), symlink('l', 'x'), steer(), directory('./')); // prettier-ignore
    for (const name of ['d', 'f', 'l', '.']) {
      assert.deepEqual([...lreadxattrs(join(layer, name)).keys()], ['trusted.x'], name);
    }
    const device = entry({ name: 'gone', type: '3', device: [0, 0] });
    assertRefusedWith(
      whiteouts,
      layer,
      /^Cannot unpack "gone": a character device 0:0 would read as a deletion$/,
      device,
    );
    unpackWith(whiteouts, layer, entry({ name: 'block', type: '4', device: [0, 0] }));
  }
});

test('Unpacker keeps whiteouts as files where it is not told otherwise', (t) => {
  const { layer } = layerFolder(t);
  unpack(layer, file('a'), directory('d'), file('d/b'), file('.wh.a', ''), file('d/.wh..wh..opq', ''));
  assert.deepEqual(readdirSync(layer).sort(), ['.wh.a', 'a', 'd']);
  assert.deepEqual(readdirSync(join(layer, 'd')).sort(), ['.wh..wh..opq', 'b']);
});

test('Unpacker applies whiteouts to what is there already', (t) => {
  const { layer, outside } = layerFolder(t);
  unpack(layer, file('a'), file('kept'), directory('tree/in'), file('tree/in/f'), symlink('tree/out', outside), symlink('l', 'tree'),
    directory('d'), file('d/old'), directory('d/e'), file('d/e/f'), file('x')); // prettier-ignore
  unpackWith('apply', layer, file('.wh.a', ''), file('.wh.tree', ''), file('.wh.l', ''), file('.wh.missing', ''), file('no/such/.wh.f', ''),
    directory('d'), file('d/.wh..wh..opq', ''), file('d/new'), hardlink('.wh.x', '.wh..wh.aufs'), directory('.wh..wh.plnk'), file('.wh..wh.plnk/1'), file('.wh.a/b'),
    file('missing/.wh..wh..opq', '')); // prettier-ignore
  assert.deepEqual(readdirSync(layer).sort(), ['d', 'kept']);
  assert.deepEqual(readdirSync(join(layer, 'd')), ['new']);
  assertUntouched(outside);
});

test('Unpacker empties the layer itself where that is opaque, and leaves what comes later', (t) => {
  const { layer, outside } = layerFolder(t);
  unpack(layer, file('a/b'), symlink('c', outside));
  unpackWith('apply', layer, directory('./'), file('.wh..wh..opq', ''), file('.wh.new', ''), file('new'));
  assert.deepEqual(readdirSync(layer), ['new']);
  assertUntouched(outside);
});

test('Unpacker refuses a whiteout of `..`, `.` and of nothing', (t) => {
  const { layer, outside } = layerFolder(t);
  for (const whiteouts of ['apply', 'overlay'] as const) {
    for (const name of ['.wh...', '.wh..', '.wh.', 'd/.wh...']) {
      assertRefusedWith(whiteouts, layer, /a deletion of "\.{0,2}"$/, directory('d'), file(name, ''));
    }
  }
  assertUntouched(outside);
  assert.deepEqual(readdirSync(layer), ['d']);
});

test('Unpacker applies no whiteout through a symbolic link that leads outside', (t) => {
  const { layer, outside } = layerFolder(t);
  unpack(layer, symlink('link', outside), symlink('up', '../outside'));
  unpackWith('apply', layer, file('link/.wh.secret', ''), file('up/.wh.secret', ''), file('link/.wh..wh..opq', ''));
  assertUntouched(outside);
});

test('Unpacker replaces the attributes of a directory that is there already', (t) => {
  const { layer } = layerFolder(t);
  const acl = Buffer.from('0200000001000700ffffffff04000500ffffffff20000500ffffffff', 'hex');
  unpack(layer, pax({ 'SCHILY.xattr.trusted.old': '1', 'SCHILY.xattr.trusted.both': '1', 'SCHILY.xattr.system.posix_acl_default': acl }), directory('d')); // prettier-ignore
  assert.ok(lreadxattrs(join(layer, 'd')).has('system.posix_acl_default'));
  unpackWith('apply', layer, pax({ 'SCHILY.xattr.trusted.both': '2', 'SCHILY.xattr.trusted.new': '2' }), directory('d'),
    entry({ name: 'd/f', mode: 0o666 }), directory('d/e')); // prettier-ignore
  assert.deepEqual([...lreadxattrs(join(layer, 'd'))].map(([name, value]) => `${name}=${value.toString()}`).sort(), [
    'trusted.both=2',
    'trusted.new=2',
  ]);
  assert.equal(statSync(join(layer, 'd/f')).mode, 0o100666);
  for (const name of ['d/f', 'd/e'])
    assert.equal(lreadxattrs(join(layer, name)).size, 0, `${name} inherited something`);
});

test('Unpacker writes whiteouts as overlay does', (t) => {
  const { layer } = layerFolder(t);
  unpackWith('overlay', layer, file('.wh.gone', ''), directory('d'), file('d/.wh..wh..opq', ''), file('d/new'), file('e/f/.wh..wh..opq', ''),
    pax({ path: `.wh.${'n'.repeat(251)}` }), file('x', ''), file('made'), file('.wh.made', ''), file('.wh.again', ''), directory('again'),
    file('.wh.file', ''), file('file'), file('.wh..wh.plnk/1')); // prettier-ignore
  const isDeleted = (name: string): boolean => {
    const stats = lstatSync(join(layer, name));
    return stats.isCharacterDevice() && stats.rdev === 0;
  };
  const opaque = (name: string): string | undefined => lreadxattrs(join(layer, name)).get('trusted.overlay.opaque')?.toString(); // prettier-ignore
  assert.deepEqual(readdirSync(layer).filter(isDeleted).sort(), ['gone', 'made', 'n'.repeat(251)].sort());
  assert.deepEqual(['d', 'e/f', 'again', 'e', '.'].map(opaque), ['y', 'y', 'y', undefined, undefined]);
  assert.deepEqual(readdirSync(layer).filter((name) => !isDeleted(name)).sort(), ['again', 'd', 'e', 'file']); // prettier-ignore
});

test('Unpacker keeps what overlay shows of a tree, through both forms', (t) => {
  const { layer } = layerFolder(t);
  const [aufs, overlay, back] = ['aufs', 'overlay', 'back'].map((name) => join(layer, '..', name));
  assert.ok(aufs !== undefined && overlay !== undefined && back !== undefined);
  unpack(aufs, entry({ name: './', type: '5', mode: 0o750 }), file('.wh.gone', ''), directory('d'), entry({ name: 'd/.wh..wh..opq', mode: 0o444, mtime: 0 }), file('d/f')); // prettier-ignore
  const converted = pack({ root: aufs, form: 'aufs' });
  unpackWith('overlay', overlay, converted);
  assert.ok(pack({ root: overlay, form: 'overlay' }).equals(converted));
  unpackWith('keep', back, converted);
  assert.ok(pack({ root: back, form: 'aufs' }).equals(converted));
});

test('Unpacker removes 10,000 nested folders that a file takes the place of', (t) => {
  const { layer } = layerFolder(t);
  const name = `${'d/'.repeat(10_000)}f`;
  unpack(layer, entry({ name: 'L', type: 'L', content: `${name}\0` }), file('f'), file('d', 'now a file'));
  assert.equal(readFileSync(join(layer, 'd'), 'utf8'), 'now a file');
});

test('Unpacker takes several archives one after the other', (t) => {
  const { layer } = layerFolder(t);
  const unpacker = new Unpacker(layer, 'apply');
  try {
    for (const parts of [
      [entry({ name: 'd', type: '5', mtime: 5 }), file('d/a')],
      [file('d/.wh.a', ''), file('d/b')],
    ]) {
      const reader = new TarReader(unpacker);
      reader.push(archive(...parts));
      reader.end();
    }
    unpacker.end();
  } finally {
    unpacker.close();
  }
  assert.deepEqual(readdirSync(join(layer, 'd')), ['b']);
  assert.equal(statSync(join(layer, 'd')).mtimeMs, 5000);
});
