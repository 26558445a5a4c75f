// Files of a container, looked up by name in trees that want to lead the daemon out or to keep it waiting.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Inside } from '../../src/filesystem/inside.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { until } from '../harness.js';

interface Setup {
  /** where the tree lies */
  root: string;
  inside: Inside;
  /** a file beside the tree that nobody may get at */
  secret: string;
}

function setUp(t: TestContext): Setup {
  const folder = temporaryFolder(t);
  const root = join(folder, 'rootfs');
  const secret = join(folder, 'secret');
  mkdirSync(join(root, 'data'), { recursive: true });
  writeFileSync(join(root, 'data/one'), 'one\n');
  writeFileSync(secret, 'secret\n');
  const inside = new Inside(root);
  t.after(() => inside.close());
  return { root, inside, secret };
}

async function read(inside: Inside, path: string): Promise<string> {
  const file = await inside.openFile(path, 'read');
  try {
    const pieces = [];
    for await (const piece of file.pieces()) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces).toString();
  } finally {
    await file.close();
  }
}

async function write(inside: Inside, path: string, ...texts: string[]): Promise<void> {
  const file = await inside.openFile(path, 'write');
  try {
    for (const text of texts) await file.write(Buffer.from(text));
  } finally {
    await file.close();
  }
}

/** What this process has open below `folder`. */
function openBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${fd}`);
      return path.startsWith(`${folder}/`) ? [path] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });
}

test('Inside.openFile() reads a file, whatever dots and slashes are in its name', async (t) => {
  const { inside } = setUp(t);
  for (const path of ['/data/one', 'data/one', '//data/./one', '/nosuch/../data/one', '/data/one/', '../../data/one'])
    assert.equal(await read(inside, path), 'one\n', path);
});

test('Inside.openFile() follows links inside the tree only (D18)', async (t) => {
  const { root, inside, secret } = setUp(t);
  symlinkSync('one', join(root, 'data/relative'));
  symlinkSync('/data/one', join(root, 'data/absolute'));
  symlinkSync('../../../../../../../../data/one', join(root, 'data/upwards'));
  symlinkSync('/', join(root, 'data/root'));
  for (const path of ['/data/relative', '/data/absolute', '/data/upwards', '/data/root/data/root/data/one'])
    assert.equal(await read(inside, path), 'one\n', path);
  symlinkSync(secret, join(root, 'data/out'));
  symlinkSync(`../../../../../../../../..${secret}`, join(root, 'data/far'));
  symlinkSync('/proc', join(root, 'proc'));
  symlinkSync('/etc', join(root, 'data/etc'));
  for (const path of ['/data/out', '/data/far', '/../secret', `/../..${secret}`, '/proc/1/root/etc/passwd', '/data/etc/shadow'])
    await assert.rejects(read(inside, path), /^PathError: open .*: (no such file or directory|too many levels of symbolic links)$/); // prettier-ignore
});

test('Inside.openFile() has the texts of 2013, with the path on the host', async (t) => {
  const { root, inside } = setUp(t);
  symlinkSync('loop', join(root, 'loop'));
  const cases: [string, 'read' | 'write', string][] = [
    ['/data/nosuch', 'read', `open ${root}/data/nosuch: no such file or directory`],
    ['/nosuch/../nosuch/f', 'write', `open ${root}/nosuch/f: no such file or directory`],
    ['../../etc/shadow', 'read', `open ${root}/etc/shadow: no such file or directory`],
    ['/data/one/x', 'read', `open ${root}/data/one/x: not a directory`],
    ['/data/one/x', 'write', `open ${root}/data/one/x: not a directory`],
    ['/data', 'read', `read ${root}/data: is a directory`],
    ['/data/', 'write', `open ${root}/data: is a directory`],
    ['', 'read', `read ${root}: is a directory`],
    ['/', 'write', `open ${root}: is a directory`],
    ['/loop', 'read', `open ${root}/loop: too many levels of symbolic links`],
    ['/loop', 'write', `open ${root}/loop: too many levels of symbolic links`],
    [`/${'n'.repeat(256)}`, 'write', `open ${root}/${'n'.repeat(256)}: file name too long`],
    [`/${'n/'.repeat(2500)}n`, 'read', `open ${root}/${'n/'.repeat(2500)}n: file name too long`],
  ];
  for (const [path, mode, message] of cases) await assert.rejects(inside.openFile(path, mode), { message });
});

test('Inside.openFile() refuses a name with a NUL byte', async (t) => {
  const { root, inside } = setUp(t);
  for (const mode of ['read', 'write'] as const)
    await assert.rejects(
      inside.openFile('/data/one\0x', mode),
      /^Error: Invalid file name .*: it contains a NUL byte$/,
    );
  assert.deepEqual(readdirSync(join(root, 'data')), ['one']);
});

test('Inside.openFile() opens no device, pipe or socket, also through a link (D18)', { timeout: 60_000 }, async (t) => {
  const { root, inside } = setUp(t);
  execFileSync('mknod', [join(root, 'memory'), 'c', '1', '1']);
  execFileSync('mknod', [join(root, 'disk'), 'b', '7', '0']);
  execFileSync('mkfifo', [join(root, 'pipe')]);
  symlinkSync('/pipe', join(root, 'link'));
  const server = createServer().listen(join(root, 'socket'));
  t.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  const kinds = {
    memory: 'a device',
    disk: 'a device',
    pipe: 'a named pipe',
    link: 'a named pipe',
    socket: 'a socket',
  };
  for (const [name, kind] of Object.entries(kinds)) {
    const message = `open ${root}/${name}: ${kind} is not opened, only regular files are`;
    for (const mode of ['read', 'write'] as const) await assert.rejects(inside.openFile(`/${name}`, mode), { message });
  }
});

test('Inside.openFile() writes over the start of a file and does not cut it', async (t) => {
  const { root, inside } = setUp(t);
  writeFileSync(join(root, 'long'), '0123456789', { mode: 0o444 });
  await write(inside, '/long', 'A', 'B');
  assert.equal(readFileSync(join(root, 'long'), 'utf8'), 'AB23456789');
  assert.equal(statSync(join(root, 'long')).mode & 0o777, 0o444);
});

test('Inside.openFile() makes a new file with mode 600', async (t) => {
  const { root, inside } = setUp(t);
  await write(inside, '/data/new', 'new');
  assert.equal(readFileSync(join(root, 'data/new'), 'utf8'), 'new');
  assert.equal(statSync(join(root, 'data/new')).mode & 0o777, 0o600);
});

test('Inside.openFile() makes the file that a link leads to, inside the tree only (D18)', async (t) => {
  const { root, inside, secret } = setUp(t);
  mkdirSync(join(root, 'deep/er'), { recursive: true });
  symlinkSync('new', join(root, 'data/relative'));
  symlinkSync('/data/relative2', join(root, 'data/chain'));
  symlinkSync('../deep/er/../target', join(root, 'data/relative2'));
  symlinkSync('/../../../../data/absolute-target', join(root, 'data/absolute'));
  symlinkSync(Buffer.from('byte-\xff', 'latin1'), join(root, 'data/bytes'));
  for (const name of ['relative', 'chain', 'absolute', 'bytes']) await write(inside, `/data/${name}`, name);
  assert.equal(readFileSync(join(root, 'data/new'), 'utf8'), 'relative');
  assert.equal(readFileSync(join(root, 'deep/target'), 'utf8'), 'chain');
  assert.equal(readFileSync(join(root, 'data/absolute-target'), 'utf8'), 'absolute');
  assert.equal(readFileSync(Buffer.from(join(root, 'data/byte-\xff'), 'latin1'), 'utf8'), 'bytes');

  symlinkSync(secret, join(root, 'data/out'));
  symlinkSync('/etc/tsdock-evil', join(root, 'data/etc'));
  symlinkSync('../../secret', join(root, 'data/beside'));
  symlinkSync('nowhere/', join(root, 'data/slash'));
  for (const name of ['out', 'etc'])
    await assert.rejects(write(inside, `/data/${name}`, 'x'), { message: `open ${root}/data/${name}: no such file or directory` }); // prettier-ignore
  await assert.rejects(write(inside, '/data/slash', 'x'), { message: `open ${root}/data/slash: is a directory` });
  await write(inside, '/data/beside', 'inside');
  assert.equal(readFileSync(join(root, 'secret'), 'utf8'), 'inside');
  assert.equal(readFileSync(secret, 'utf8'), 'secret\n');
  assert.throws(() => lstatSync('/etc/tsdock-evil'));
});

// A program that puts something else at /data/it, as fast as it can, until it is killed.
const SWAPPER = `
import os, sys
root, secret = sys.argv[1:]
os.chdir(root)
os.mkdir('folder'); open('folder/it', 'w').write('one\\n'); os.symlink(os.path.dirname(secret), 'out')
os.mkfifo('pipe')
open('ready', 'w').close()
while True:
    for target in [secret, '../../secret', 'one', '/pipe']:
        os.symlink(target, 'next'); os.rename('next', 'data/it')
    os.link('data/one', 'next'); os.rename('next', 'data/it')
    os.link('pipe', 'next'); os.rename('next', 'data/it'); os.unlink('data/it')
    os.rename('data', 'kept'); os.symlink('out', 'data'); os.rename('data', 'gone'); os.unlink('gone'); os.rename('kept', 'data')
`;

test('Inside.openFile() is not led out by what is swapped meanwhile (D18)', { timeout: 300_000 }, async (t) => {
  const { root, inside, secret } = setUp(t);
  const swapper = spawn('python3', ['-c', SWAPPER, root, secret], { stdio: 'ignore' });
  const seen = new Set<string>();
  try {
    await until(() => readdirSync(root).includes('ready'), 'the swapper runs');
    for (let i = 0; i < 3000; i++) {
      const text = await read(inside, '/data/it').catch((error: unknown) => String(error).replace(/^.*: /, 'Error: '));
      seen.add(text);
      await write(inside, '/data/it', 'one\n').catch(() => undefined);
    }
  } finally {
    // Before the folder is removed: it would go on in there.
    swapper.kill('SIGKILL');
    await new Promise((resolve) => swapper.once('close', resolve));
  }
  assert.equal(readFileSync(secret, 'utf8'), 'secret\n');
  assert.ok(seen.has('one\n'), [...seen].join());
  for (const text of seen) assert.match(text, /^(one\n|Error: .*|)$/);
});

test('Inside.readDir() lists names in the order of their bytes, whatever bytes', async (t) => {
  const { root, inside } = setUp(t);
  mkdirSync(join(root, 'names'));
  symlinkSync('/names', join(root, 'link'));
  const names = ['.hidden', 'B', 'a', 'new\nline', '\xff', '\xc3\xa9', 'z'];
  for (const name of names) writeFileSync(Buffer.from(join(root, 'names', name), 'latin1'), '');
  for (const path of ['/names', '/names/', '/link/.']) assert.deepEqual(await inside.readDir(path), [...names].sort());
  mkdirSync(join(root, 'empty'));
  assert.deepEqual(await inside.readDir('/empty'), []);
  assert.deepEqual(await inside.readDir('/'), ['data', 'empty', 'link', 'names']);
});

test('Inside.readDir() lists folders only, and inside the tree only (D18)', { timeout: 60_000 }, async (t) => {
  const { root, inside } = setUp(t);
  execFileSync('mkfifo', [join(root, 'pipe')]);
  symlinkSync('/..', join(root, 'up'));
  symlinkSync('/etc', join(root, 'out'));
  for (const path of ['/up', '/up/../..']) assert.deepEqual(await inside.readDir(path), ['data', 'out', 'pipe', 'up']);
  const cases: [string, string][] = [
    ['/out', `open ${root}/out: no such file or directory`],
    ['/nosuch', `open ${root}/nosuch: no such file or directory`],
    ['/data/one', `readdirent ${root}/data/one: not a directory`],
    ['/pipe', `readdirent ${root}/pipe: not a directory`],
  ];
  for (const [path, message] of cases) await assert.rejects(inside.readDir(path), { message });
});

test('Inside leaves nothing open but what its caller has not closed', async (t) => {
  const { root, inside } = setUp(t);
  symlinkSync('new', join(root, 'data/link'));
  symlinkSync('loop', join(root, 'loop'));
  const file = await inside.openFile('/data/one', 'read');
  for (const path of ['/data', '/nosuch', '/data/link', '/loop', '/x\0']) {
    for (const mode of ['read', 'write'] as const)
      await inside.openFile(path, mode).then((opened) => opened.close(), () => undefined); // prettier-ignore
    await inside.readDir(path).catch(() => undefined);
  }
  assert.deepEqual(openBelow(root), [`${root}/data/one`]);
  await file.close();
  const other = new Inside(root);
  other.close();
  rmSync(join(root, 'data'), { recursive: true });
  assert.deepEqual(openBelow(root), []);
});

test('Inside works on in a folder that was moved, and fails where there is none', async (t) => {
  const { root, inside } = setUp(t);
  execFileSync('mv', [root, `${root}-moved`]);
  assert.equal(await read(inside, '/data/one'), 'one\n');
  assert.throws(() => new Inside(root), { code: 'ENOENT', path: root });
});
