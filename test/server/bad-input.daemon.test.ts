// Callers' mistakes and worse: each gets one clear error line, and the daemon goes on.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, FrameDecoder, FrameType } from '../../src/rcli/frames.js';
import { fixtureTar } from '../fixture.js';
import { readAll, TestDaemon } from '../harness.js';

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());
afterEach(async () => assert.match(await daemon.call('ps'), /^ID +IMAGE/));

const ONE_ERROR = /^Error: [^\n]+\n$/;

test('a line that is no call gets one error', async () => {
  for (const line of [
    '\n',
    'hello\n',
    '{"a":1}\n',
    '"ps"\n',
    '17\n',
    '["ps",1]\n',
    '["ps",["-a"]]\n',
    '{"frames":2,"args":[]}\n',
    '{"frames":1}\n',
  ]) {
    assert.match((await daemon.raw(line)).toString(), ONE_ERROR, JSON.stringify(line));
  }
  assert.equal((await daemon.raw('["ps"]')).toString(), 'Error: EOF\n');
});

test('a line of 2 MB gets one error', async () => {
  const reply = await daemon.raw(`["${'x'.repeat(2 * 1024 * 1024)}"]\n`);
  assert.match(reply.toString(), /^Error: Call line too long: at most 1048576 bytes are allowed\n$/);
});

test('a caller that says nothing is let go', { timeout: 30_000 }, async () => {
  const socket = await daemon.connect();
  assert.match((await readAll(socket)).toString(), /^Error: No call line within 10 seconds\n$/);
});

/** Sends a framed call and then raw bytes; the text on stderr and the status. */
async function framed(args: string[], bytes: Buffer): Promise<{ text: string; status: unknown }> {
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify({ frames: 1, args })}\n`);
  socket.write(bytes);
  const frames = [...new FrameDecoder().push(await readAll(socket))];
  assert.equal(frames[0]?.type, FrameType.hello);
  const text = frames
    .filter(({ type }) => type === FrameType.stderr)
    .map(({ payload }) => payload.toString())
    .join('');
  const last = frames.at(-1);
  return { text, status: last?.type === FrameType.status ? JSON.parse(last.payload.toString()) : undefined };
}

test('a frame that claims 4 GiB gets one error', async () => {
  const header = Buffer.from([0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
  const { text, status } = await framed(['run', '-a', '-i', 'base', 'cat'], header);
  assert.match(text, ONE_ERROR);
  assert.deepEqual(status, { status: 125 });
  await daemon.call('rm', '-f', ...(await daemon.call('ps', '-q')).trim().split('\n'));
});

test('a half frame and silence gets one error', { timeout: 30_000 }, async () => {
  const { text } = await framed(['run', '-a', '-i', 'base', 'cat'], Buffer.from([0, 0, 0, 0, 0, 0]));
  assert.match(text, /^Error: Invalid frame: it was not finished within 10 seconds\n$/);
  await daemon.call('rm', '-f', ...(await daemon.call('ps', '-q')).trim().split('\n'));
});

test('frames of unknown types, of the other direction and with no JSON get one error', async () => {
  const bad = [
    Buffer.from([9, 0, 0, 0, 0, 0, 0, 0]),
    encodeFrame(FrameType.hello, '{}'),
    encodeFrame(FrameType.window, 'x'),
    encodeFrame(FrameType.signal, '{"signal":"SIGNO"}'),
  ];
  for (const bytes of bad) {
    const { text } = await framed(['run', '-a', '-i', 'base', 'cat'], bytes);
    assert.match(text, ONE_ERROR);
    await daemon.call('rm', '-f', ...(await daemon.call('ps', '-q')).trim().split('\n'));
  }
});

test('an unknown command, and what only looks like one, gets one error', async () => {
  for (const word of ['nosuch', 'constructor', '__proto__', 'toString', 'commands', 'parts', 'p', 'ps -a', 'é']) {
    assert.equal(await daemon.call(word), `Error: No such command: ${word}\n`);
    assert.equal(
      await (await fetch(`http://${daemon.http}/${encodeURIComponent(word)}`)).text(),
      `Error: No such command: ${word}\n`,
    );
  }
});

test('an unknown image or container gets the error of 2013', async () => {
  assert.equal(await daemon.call('run', 'nosuch', 'true'), 'Error: No such image: nosuch\n');
  assert.equal(await daemon.call('rm', '100%'), 'Error: No such container: 100%\n');
});

test('an argument with a NUL byte gets one error, and no container is left', async () => {
  assert.match(await daemon.call('run', '-a', 'base', 'echo', 'a\0b'), ONE_ERROR);
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('more arguments than the kernel takes get one error, and no container is left', async () => {
  assert.match(await daemon.call('run', '-a', 'base', 'echo', 'x'.repeat(900_000)), ONE_ERROR);
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('archives that cannot be read or lead outside get one error and leave nothing', async () => {
  const layers = join(daemon.directory, 'images/layers');
  const before = readdirSync(layers);
  const whole = fixtureTar();
  const archives: Record<string, Buffer> = {
    truncated: whole.subarray(0, whole.length >> 1),
    none: Buffer.from('this is no archive\n'.repeat(100)),
    empty: Buffer.alloc(0),
    upwards: tarOf("touch x; tar -c --transform='s,^x,../x,' x"),
  };
  for (const [name, archive] of Object.entries(archives)) {
    assert.match(await daemon.callWith(archive, 'put', 'bad'), ONE_ERROR, name);
    assert.equal(await daemon.call('images', '-q', 'bad'), '', name);
  }
  assert.deepEqual(readdirSync(layers), before);
});

test('a link that points outside is kept, and what is written through it stays inside the layer', async () => {
  const archive = tarOf(
    'ln -s /etc out; touch file; mkdir etc; tar -c etc out; rm out; mkdir out; touch out/tsdock-evil; tar -c out/tsdock-evil',
    true,
  );
  const reply = await daemon.callWith(archive, 'put', 'linked');
  assert.match(reply, /^linked:|^Error: /);
  assert.throws(() => execFileSync('ls', ['/etc/tsdock-evil'], { stdio: 'ignore' }));
});

test('a full disk during put and run gets one error, and nothing half-made stays', { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', directory]);
  try {
    const small = await TestDaemon.start({ directory, withImage: false });
    try {
      assert.match(await small.callWith(fixtureTar(), 'put', 'base'), /^base:/);
      const big = tarOf('head -c 8000000 /dev/urandom > big; tar -c big');
      assert.match(await small.callWith(big, 'put', 'big'), /^Error: [^\n]*(no space|ENOSPC)[^\n]*\n$/i);
      assert.equal(await small.call('images', '-q', 'big'), '');
      assert.deepEqual(
        readdirSync(join(directory, 'images/layers')).filter((name) => name.startsWith('.tmp')),
        [],
      );
      execFileSync('sh', ['-c', 'cat /dev/zero > "$0/filler" 2>/dev/null || true', directory]);
      assert.match(await small.call('run', 'base', 'true'), /^Error: [^\n]*(no space|ENOSPC)[^\n]*\n$/i);
      assert.equal(await small.call('ps', '-a', '-q'), '');
      rmSync(join(directory, 'filler'));
      assert.equal(await small.call('run', '-a', 'base', 'echo', 'again'), 'again\n');
    } finally {
      await small.close().catch((error: unknown) => {
        // The folder itself is the mount point of the tmpfs. Node 26 gives no code here, but the words.
        if (!/EBUSY|resource busy/.test(String(error))) throw error;
      });
    }
  } finally {
    execFileSync('umount', ['-l', directory]); // a holder that was killed may not be quite gone
    rmSync(directory, { recursive: true, force: true });
  }
});

/** What `script` prints, run in an empty folder; several tars in a row where `isConcatenated`. */
function tarOf(script: string, isConcatenated = false): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  try {
    const text = isConcatenated ? script.replaceAll('tar -c', 'tar -c --record-size=512') : script;
    const tar = execFileSync('sh', ['-c', text], { cwd: folder, maxBuffer: 1 << 26 });
    return isConcatenated ? withoutInnerEnds(tar) : tar;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Takes the zero blocks out of several tars in a row, and puts one end after them. */
function withoutInnerEnds(tars: Buffer): Buffer {
  const blocks = Array.from({ length: tars.length / 512 }, (_, i) => tars.subarray(i * 512, (i + 1) * 512));
  return Buffer.concat([...blocks.filter((block) => block.some((byte) => byte !== 0)), Buffer.alloc(1024)]);
}
