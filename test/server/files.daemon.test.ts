// The commands that handle a container's file system and look into it, with callers that break off, programs that want the
// host's files, and everything at once. TSDOCK_TEST_DRIVER names another mount driver to run this with.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { get, request, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fixtureTar } from '../fixture.js';
import { mountsBelow, TestDaemon, until } from '../harness.js';

const DRIVER = process.env['TSDOCK_TEST_DRIVER'];
const DAEMON_ARGS = DRIVER === undefined ? [] : ['--driver', DRIVER];
const MIB = 1024 * 1024;
const ONE_ERROR = /^Error: [^\n]+\n$/;

let daemon: TestDaemon;
/** a file of the host's that no container may get at */
let secret = '';
before(async () => {
  secret = join(mkdtempSync(join(tmpdir(), 'tsdock-test-secret-')), 'secret');
  writeFileSync(secret, 'secret\n');
  daemon = await TestDaemon.start({ args: DAEMON_ARGS });
});
after(async () => {
  rmSync(join(secret, '..'), { recursive: true });
  await daemon.close();
});

/** A container that ran `script` to its end. */
async function stoppedContainer(script = 'true', image = 'base'): Promise<string> {
  const id = (await daemon.call('run', image, 'sh', '-c', script)).trim();
  await daemon.stopped(id);
  return id;
}

const rootfs = (id: string): string => join(daemon.directory, 'containers', id, 'rootfs');

function url(...words: string[]): string {
  const [command = '', ...args] = words.map(encodeURIComponent);
  return `http://${daemon.http}/${command}?${args.map((arg) => `q=${arg}`).join('&')}`;
}

/** What the daemon has open in the trees of its containers. */
function openInTrees(): string[] {
  return readdirSync(`/proc/${daemon.pid}/fd`).flatMap((fd) => {
    try {
      const path = readlinkSync(`/proc/${daemon.pid}/fd/${fd}`);
      return path.includes('/rootfs') ? [path] : [];
    } catch {
      return []; // closed meanwhile
    }
  });
}

/** An image of what `script` makes in a folder beside the folders of the fixture. */
async function putImage(name: string, script: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-image-'));
  try {
    execFileSync('tar', ['-x'], { cwd: folder, input: fixtureTar() });
    execFileSync('sh', ['-ec', script], { cwd: folder });
    const tar = execFileSync('tar', ['-c', '.'], { cwd: folder, maxBuffer: 1 << 26 });
    assert.match(await daemon.callWith(tar, 'put', name), new RegExp(`^${name}:`));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('write, cat and ls: what is written is there, for the program too', async () => {
  const id = await stoppedContainer();
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  assert.equal(await daemon.callWith(bytes, 'write', id, '/data/new'), '');
  assert.deepEqual(await daemon.raw(`${JSON.stringify(['cat', id, '/data/new'])}\n`), bytes);
  assert.equal(await daemon.call('ls', id, '/data'), 'new\none\nplain\n');
  assert.equal(await daemon.callWith('AB', 'write', id, '/data/plain'), '');
  assert.equal(await daemon.call('cat', id, '/data/plain'), 'AB program\n');
  assert.equal(await daemon.call('umount', id), `${id}\n`);
  assert.equal(await daemon.call('cat', id, '/data/plain'), 'AB program\n');
  await daemon.call('rm', id);

  const running = (
    await daemon.call('run', 'base', 'sh', '-c', 'while [ ! -s /go ]; do usleep 10000; done; cat /go')
  ).trim();
  assert.equal(await daemon.callWith('gone\n', 'write', running, '/go'), '');
  await daemon.stopped(running);
  assert.equal(await daemon.call('logs', running), 'gone\n');
});

test('write, cat and ls over HTTP', async () => {
  const id = await stoppedContainer();
  const written = await fetch(url('write', id, '/data/h'), { method: 'POST', body: 'http\n' });
  assert.equal(await written.text(), '');
  assert.equal(await (await fetch(url('cat', id, '/data/h'))).text(), 'http\n');
  assert.equal(await (await fetch(url('ls', id, '/data'))).text(), 'h\none\nplain\n');
  assert.equal(await (await fetch(url('write', id, '/data/empty'))).text(), '');
  assert.equal(await (await fetch(url('cat', id, '/data/empty'))).text(), '');
  assert.match(await (await fetch(url('cat', id, '/data/nosuch'))).text(), ONE_ERROR);
});

test('write and cat by the client, with its exit status', async () => {
  const id = await stoppedContainer();
  assert.deepEqual(await daemon.tsdock(['write', id, '/data/c'], 'client\n'), { status: 0, stdout: '', stderr: '' });
  assert.deepEqual(await daemon.tsdock(['cat', id, '/data/c']), { status: 0, stdout: 'client\n', stderr: '' });
  const failed = await daemon.tsdock(['cat', id, '/data/nosuch']);
  assert.deepEqual([failed.status, failed.stdout], [1, '']);
  assert.equal(failed.stderr, `Error: open ${rootfs(id)}/data/nosuch: no such file or directory\n`);
});

test('ls prints the bytes of names', async () => {
  const id = await stoppedContainer(`cd /data; rm *; touch "$(printf '\\377')" "$(printf '\\303\\251')" 'a b' .h`);
  const reply = await daemon.raw(`${JSON.stringify(['ls', id, '/data'])}\n`);
  assert.deepEqual(reply, Buffer.from('.h\na b\n\xc3\xa9\n\xff\n', 'latin1'));
});

test('cat, write and ls end in one error for a path that names no such thing', async () => {
  const id = await stoppedContainer();
  const cases: [string, string, string][] = [
    ['cat', '/data/nosuch', `open ${rootfs(id)}/data/nosuch: no such file or directory`],
    ['cat', '/data', `read ${rootfs(id)}/data: is a directory`],
    ['write', '/data/', `open ${rootfs(id)}/data: is a directory`],
    ['write', '/nosuch/f', `open ${rootfs(id)}/nosuch/f: no such file or directory`],
    ['ls', '/data/one', `readdirent ${rootfs(id)}/data/one: not a directory`],
    ['cat', `/${'x'.repeat(300)}`, `open ${rootfs(id)}/${'x'.repeat(300)}: file name too long`],
    ['cat', '/data/a\0b', 'Invalid file name "/data/a\\u0000b": it contains a NUL byte'],
  ];
  for (const [command, path, text] of cases) assert.equal(await daemon.call(command, id, path), `Error: ${text}\n`);
  assert.equal(await daemon.call('ls', id, '/data'), 'one\nplain\n');
});

test('cat, write and ls stay inside of the container (D18)', async () => {
  const up = '../../../../../../../../..';
  await putImage('links', `cd data
    ln -s ${secret} absolute; ln -s ${up}${secret} upwards; ln -s /etc/shadow shadow; ln -s / root; ln -s ${up} up
    ln -s /proc/1/root/etc/passwd init; ln -s /data/one inside; ln -s /tmp/made dangling`); // prettier-ignore
  const id = await stoppedContainer('true', 'links');
  const folder = join(secret, '..');
  for (const path of ['absolute', 'upwards', 'shadow', 'init', `root${secret}`, `up${secret}`].map(
    (name) => `/data/${name}`,
  )) {
    assert.match(await daemon.call('cat', id, path), ONE_ERROR, path);
    assert.match(await daemon.callWith('evil\n', 'write', id, path), /^(Error: [^\n]+\n)?$/, path);
  }
  for (const path of [secret, `${up}${secret}`, `/..${secret}`, `/data/${up}${secret}`, '/proc/1/root/etc/passwd'])
    assert.match(await daemon.call('cat', id, path), ONE_ERROR, path);
  for (const path of [folder, `${up}${folder}`, `/data/root${folder}`, '/proc/1/root', '/proc/self'])
    assert.match(await daemon.call('ls', id, path), ONE_ERROR, path);
  assert.equal(await daemon.call('ls', id, up), await daemon.call('ls', id, '/'));
  assert.equal(await daemon.call('cat', id, '/data/inside'), 'one\n');
  assert.equal(await daemon.callWith('made\n', 'write', id, '/data/dangling'), '');
  assert.equal(await daemon.call('cat', id, '/tmp/made'), 'made\n');
  assert.deepEqual([readFileSync(secret, 'utf8'), readdirSync(folder)], ['secret\n', ['secret']]);
});

test('cat, write and ls open no device and no pipe of an image (D18)', { timeout: 60_000 }, async () => {
  await putImage(
    'nodes',
    'cd data; mknod memory c 1 1; mknod disk b 7 0; mknod null c 1 3; mkfifo pipe; ln -s pipe link',
  );
  const id = await stoppedContainer('true', 'nodes');
  for (const name of ['memory', 'disk', 'null', 'pipe', 'link']) {
    const error = new RegExp(
      `^Error: open .*/data/${name}: a (device|named pipe) is not opened, only regular files are\n$`,
    );
    assert.match(await daemon.call('cat', id, `/data/${name}`), error);
    assert.match(await daemon.callWith('x', 'write', id, `/data/${name}`), error);
    assert.match(await daemon.call('ls', id, `/data/${name}`), /^Error: readdirent .*: not a directory\n$/);
  }
});

test(
  'cat and write are not led out by a program that swaps links and folders (D18)',
  { timeout: 120_000 },
  async () => {
    const folder = join(secret, '..');
    await putImage(
      'swap',
      `ln -s ${folder} data/outside; mkdir data/inside; echo one > data/inside/secret; mkfifo data/pipe`,
    );
    const swap = `cd /data; while :; do ln -sfn inside dir; ln -sfn outside dir; ln -sfn ${secret} it; ln -sfn pipe it; ln -fn one it; done`;
    const id = (await daemon.call('run', 'swap', 'sh', '-c', swap)).trim();
    const seen = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const calls = ['/data/dir/secret', '/data/it'].flatMap((path) => [
        daemon.call('cat', id, path),
        daemon.callWith('one\n', 'write', id, path),
      ]);
      for (const reply of await Promise.all(calls)) seen.add(reply.startsWith('Error: ') ? 'error' : reply);
    }
    assert.deepEqual([...seen].filter((text) => !['error', 'one\n', ''].includes(text)), []); // prettier-ignore
    assert.ok(seen.has('one\n'));
    assert.deepEqual([readFileSync(secret, 'utf8'), readdirSync(folder)], ['secret\n', ['secret']]);
    await daemon.call('rm', '-f', id);
  },
);

test('cat and write of 1 GiB: all of it, and the daemon stays small', { timeout: 300_000 }, async () => {
  const id = await stoppedContainer(`dd if=/dev/null of=/data/big bs=1M seek=1024; echo end >> /data/big`);
  const socket = await daemon.connect();
  socket.end(`${JSON.stringify(['cat', id, '/data/big'])}\n`);
  let length = 0;
  let tail = Buffer.alloc(0);
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    length += chunk.length;
    tail = Buffer.concat([tail, chunk]).subarray(-8);
  }
  assert.equal(length, 1024 * MIB + 4);
  assert.deepEqual(tail, Buffer.from('\0\0\0\0end\n'));
  const piece = Buffer.alloc(MIB, 'tsdock');
  const hash = createHash('sha256');
  const writing = await daemon.connect();
  writing.write(`${JSON.stringify(['write', id, '/data/new'])}\n`);
  for (let i = 0; i < 256; i++) {
    hash.update(piece);
    if (!writing.write(piece)) await new Promise((resolve) => writing.once('drain', resolve));
  }
  writing.end();
  await new Promise((resolve) => writing.once('close', resolve).resume());
  const [peakKib = 0] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8'))?.slice(1).map(Number) ?? []; // prettier-ignore
  assert.ok(peakKib > 0 && peakKib < 200 * 1024, `${peakKib} KiB`);
  await daemon.call('start', id).then(() => daemon.stopped(id));
  const digest = await daemon
    .call('cat', id, '/data/new')
    .then((text) => createHash('sha256').update(text).digest('hex'));
  assert.equal(digest, hash.digest('hex'));
  await daemon.call('rm', id);
});

test('umount works when callers of cat and write have broken off (D19)', { timeout: 120_000 }, async () => {
  const id = await stoppedContainer('dd if=/dev/null of=/data/big bs=1M seek=64');
  const words = ['cat', id, '/data/big'];
  const open = await Promise.all(Array.from({ length: 4 }, () => daemon.connect()));
  const [cat, write, framedCat, framedWrite] = open;
  // over TCP: a reader that has read a little and then nothing, and a writer in the middle
  cat?.write(`${JSON.stringify(words)}\n`);
  write?.write(`${JSON.stringify(['write', id, '/data/half'])}\nhalf`);
  framedCat?.write(`${JSON.stringify({ frames: 1, args: words })}\n`);
  framedWrite?.write(`${JSON.stringify({ frames: 1, args: ['write', id, '/data/framed'] })}\n`);
  // the same over HTTP
  const reading = get(url(...words), { agent: false });
  const response = await new Promise<IncomingMessage>((resolve) => reading.once('response', resolve));
  const writing = request(url('write', id, '/data/half-http'), { method: 'POST', agent: false });
  writing.write('half');
  for (const call of [reading, writing, response]) call.on('error', () => undefined);
  await until(() => openInTrees().length >= 6, 'all six have begun');
  for (const path of ['/data/half', '/data/half-http']) {
    await until(async () => (await daemon.call('cat', id, path)) === 'half', 'it has come');
  }
  for (const socket of open) socket.destroy();
  for (const call of [reading, writing]) call.destroy();
  await until(() => openInTrees().length === 0, 'nothing is open any more');
  assert.equal(await daemon.call('cat', id, '/data/half'), 'half');
  assert.equal(await daemon.call('cat', id, '/data/half-http'), 'half');
  assert.equal(await daemon.call('umount', id), `${id}\n`);
  assert.deepEqual(mountsBelow(rootfs(id)), []);
  assert.equal(await daemon.call('umount', id), 'Error: Umount: Filesystem not mounted\n');
  assert.equal(await daemon.call('rm', id), '');
});

test('umount and rm do not wait for a caller of cat that does not read', { timeout: 60_000 }, async () => {
  const id = await stoppedContainer('dd if=/dev/null of=/data/big bs=1M seek=64');
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify(['cat', id, '/data/big'])}\n`);
  await until(() => openInTrees().length === 1, 'cat has begun');
  assert.equal(await daemon.call('umount', id), `${id}\n`);
  assert.equal(await daemon.call('cat', id, '/data/one'), 'one\n');
  assert.equal(await daemon.call('rm', id), '');
  let length = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) length += chunk.length;
  assert.equal(length, 64 * MIB);
});

test('write to a full disk is one error, and rm makes room again', { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', directory]);
  try {
    const small = await TestDaemon.start({ directory, args: DAEMON_ARGS });
    const id = (await small.call('run', 'base', 'true')).trim();
    await small.stopped(id);
    const error = `Error: write ${directory}/containers/${id}/rootfs/data/big: no space left on device\n`;
    assert.equal(await small.callWith(Buffer.alloc(32 * MIB, 'x'), 'write', id, '/data/big'), error);
    assert.equal(await small.call('rm', id), '');
    assert.equal(await small.call('run', '-a', 'base', 'echo', 'again'), 'again\n');
    await small.close().catch((problem: unknown) => {
      // The folder itself is the mount point of the tmpfs. Node 26 gives no code here, but the words.
      if (!/EBUSY|resource busy/.test(String(problem))) throw problem;
    });
  } finally {
    execFileSync('umount', ['-l', directory]);
    rmSync(directory, { recursive: true, force: true });
  }
});

test('mount, umount and reset of a running container are refused in one line (D16, D17)', async () => {
  const id = (await daemon.call('run', 'base', 'sh', '-c', 'echo x > /data/x; sleep 100')).trim();
  await until(async () => (await daemon.call('cat', id, '/data/x')) === 'x\n', 'the program has begun');
  assert.equal(await daemon.call('mount', id), 'Error: Mount: Filesystem already mounted\n');
  assert.equal(await daemon.call('umount', id), `Error: Cannot unmount "${id}": the container is running\n`);
  assert.equal(await daemon.call('reset', 'nosuch', id), `Error: Cannot reset "${id}": the container is running\n`);
  assert.equal(await daemon.call('cat', id, '/data/x'), 'x\n');
  await daemon.call('rm', '-f', id);
});

test('mount and umount do one name after the other, and stop at the first that cannot be done', async () => {
  const [one, two] = await Promise.all([stoppedContainer(), stoppedContainer()]);
  assert.equal(await daemon.call('mount', one, two), `${one}\n${two}\n`);
  assert.equal(await daemon.call('ls', one, '/data'), 'one\nplain\n');
  assert.equal(await daemon.call('umount', one, 'nosuch', two), `${one}\nError: No such container: nosuch\n`);
  assert.equal(await daemon.call('mount', one, two), `${one}\nError: Mount: Filesystem already mounted\n`);
  assert.equal(await daemon.call('umount', one, two), `${one}\n${two}\n`);
});

test('reset takes back what was changed, mounted or not, and passes over unknown names', async () => {
  const id = await stoppedContainer('rm /data/one; mkdir /data/new; echo x > /data/plain');
  for (const isMounted of [false, true]) {
    if (isMounted) {
      assert.equal(await daemon.callWith('more', 'write', id, '/data/more'), '');
      assert.equal(await daemon.callWith('NO', 'write', id, '/data/plain'), '');
    }
    assert.equal(await daemon.call('reset', 'nosuch', id, 'nosuch'), '');
    assert.equal(await daemon.call('ls', id, '/data'), 'one\nplain\n');
    assert.equal(await daemon.call('cat', id, '/data/plain'), 'no program\n');
  }
  assert.equal(await daemon.call('start', id), `${id}\n`);
  await daemon.stopped(id);
  assert.equal(await daemon.call('ls', id, '/data'), 'new\nplain\n');
});

test(
  'start, umount, mount, reset, cat and write at once: each answers, and none spoils another',
  { timeout: 240_000 },
  async () => {
    const id = await stoppedContainer('test "$(cat /data/one)" = one || exit 3; echo ran >> /data/ran');
    const expected = /^(|\w{8}\n|one\n|Error: (Mount: Filesystem already mounted|Umount: Filesystem not mounted|Cannot (unmount|reset) "\w{8}": the container is running|Container \w{8} is already running)\n)$/; // prettier-ignore
    for (let round = 0; round < 15; round++) {
      const calls = ['start', 'umount', 'mount', 'reset', 'umount', 'start', 'mount'].map((word) =>
        daemon.call(word, id),
      );
      const looks = [daemon.call('cat', id, '/data/one'), daemon.callWith('x', 'write', id, '/data/w'), daemon.call('cat', id, '/data/one')]; // prettier-ignore
      for (const reply of await Promise.all([...calls, ...looks])) assert.match(reply, expected);
      assert.equal(await daemon.stopped(id), '0', `round ${round}`);
      assert.ok(mountsBelow(join(daemon.directory, 'containers', id)).length <= 1);
    }
    assert.equal(await daemon.call('cat', id, '/data/one'), 'one\n');
  },
);

test('rm during cat, write and ls leaves nothing behind', { timeout: 120_000 }, async () => {
  const allowed = /^(|one\n|one\nplain\n|one\nplain\nw\n|Error: [^\n]+\n)$/;
  for (let round = 0; round < 10; round++) {
    const id = await stoppedContainer();
    const calls = [
      daemon.call('cat', id, '/data/one'),
      daemon.callWith('x', 'write', id, '/data/w'),
      daemon.call('rm', id),
      daemon.call('ls', id, '/data'),
      daemon.call('cat', id, '/data/one'),
    ];
    for (const reply of await Promise.all(calls)) assert.match(reply, allowed);
    assert.equal(await daemon.call('rm', id), `Error: No such container: ${id}\n`);
    assert.deepEqual(readdirSync(join(daemon.directory, 'containers')).filter((name) => name.includes(id)), []); // prettier-ignore
    assert.deepEqual(mountsBelow(join(daemon.directory, 'containers', id)), []);
  }
});

test('cp gives an image a second name with the first as parent, and adds no layer', async () => {
  const base = (await daemon.call('images', '-q', 'base')).trim();
  const hash = base.split(':')[1] ?? '';
  const layers = await daemon.call('layers');
  assert.equal(await daemon.call('cp', 'base', 'copy'), `copy:${hash}\n`);
  assert.equal(await daemon.call('cp', `copy:${hash}`, 'second'), `second:${hash}\n`);
  assert.equal(await daemon.call('cp', 'copy', 'copy'), `copy:${hash}\n`);
  assert.equal(await daemon.call('images', '-q', 'copy'), `copy:${hash}\n`);
  const second = JSON.parse(await daemon.call('inspect', 'second')) as { Parent: string };
  assert.equal(second.Parent, `copy:${hash}`);
  assert.equal(await daemon.call('layers'), layers);
  assert.ok(layers.split('\n').includes(join(daemon.directory, 'images/layers', hash)));
  assert.deepEqual(layers.trim().split('\n'), layers.trim().split('\n').sort());
  assert.equal(await daemon.call('run', '-a', 'second', 'echo', 'copied'), 'copied\n');
  assert.equal(await daemon.call('cp', 'nosuch', 'x'), 'Error: No such image: nosuch\n');
  assert.equal(await daemon.call('cp', 'nosuch'), 'Error: Illegal image name\n');
  assert.equal(await daemon.call('cp', 'base', ''), 'Error: Illegal image name\n');
});

test('info counts containers and images, and names the driver', async () => {
  const count = async (...words: string[]): Promise<number> => (await daemon.call(...words)).split('\n').length - 1;
  const id = await stoppedContainer();
  const [containers, images] = [await count('ps', '-a', '-q'), await count('images', '-q')];
  const reply = await daemon.call('info', 'whatever');
  assert.match(
    reply,
    new RegExp(`^containers: ${containers}\nversion: \\d\\S*\nimages: ${images}\ndriver: (aufs|overlay|vfs)\n`),
  );
  await daemon.call('rm', id);
  assert.match(await daemon.call('info'), new RegExp(`^containers: ${containers - 1}\n`));
});
