// What is recognised, what is undone, and that nothing is left behind.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer, connect, type AddressInfo } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { ArchiveError } from '../../src/archive/archive-error.js';
import { decompress, findCompression, MAX_MEMORY_MIB } from '../../src/archive/compression.js';

const PROGRAMS = ['gzip', 'bzip2', 'xz', 'zstd'] as const;
const content = Buffer.concat([randomBytes(300_000), Buffer.alloc(3_000_000, 'tsdock ')]);

function compressed(program: string, input = content): Buffer {
  return execFileSync(program, ['-c'], { input, maxBuffer: 1 << 26 });
}

function inPieces(input: Buffer, size: number): Readable {
  const pieces: Buffer[] = [];
  for (let at = 0; at < input.length; at += size) pieces.push(input.subarray(at, at + size));
  return Readable.from(pieces, { objectMode: false });
}

function listenersOf(stream: Readable): Record<string, number> {
  return Object.fromEntries(stream.eventNames().map((name) => [String(name), stream.listenerCount(name)]));
}

function childrenOf(pid: number): string[] {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
    .filter((child) => child !== '');
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, 'nothing happened for a minute');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

for (const program of PROGRAMS) {
  test(`decompress() undoes ${program}, in pieces of any size`, async () => {
    const input = compressed(program);
    assert.equal(findCompression(input)?.name, program);
    for (const size of [input.length, 65_536, 1000]) {
      assert.ok((await buffer(await decompress(inPieces(input, size)))).equals(content));
    }
    const small = compressed(program, Buffer.from('small'));
    assert.equal((await buffer(await decompress(inPieces(small, 1)))).toString(), 'small');
    assert.equal((await buffer(await decompress(inPieces(compressed(program, Buffer.alloc(0)), 7)))).length, 0);
  });

  test(`decompress() of ${program} leaves the source open, without listeners of its own`, async () => {
    const source = new PassThrough({ autoDestroy: false });
    const before = listenersOf(source);
    source.end(compressed(program));
    await buffer(await decompress(source));
    assert.equal(source.destroyed, false);
    assert.deepEqual(listenersOf(source), before);
  });

  test(`decompress() undoes ${program} in several members`, async () => {
    const input = Buffer.concat([compressed(program), compressed(program, Buffer.from('more'))]);
    const output = await buffer(await decompress(inPieces(input, 50_000)));
    assert.ok(output.equals(Buffer.concat([content, Buffer.from('more')])));
  });

  test(`decompress() fails once on ${program} that is cut off or damaged`, async () => {
    const input = compressed(program);
    const damaged = Buffer.from(input);
    damaged.fill(0x55, input.length >> 1, (input.length >> 1) + 100);
    for (const bad of [input.subarray(0, input.length - 9), input.subarray(0, 20), damaged]) {
      const source = inPieces(bad, 4096);
      const isExpected = (error: unknown): boolean =>
        error instanceof ArchiveError && error.message.startsWith(`Cannot decompress the archive: ${program}: `);
      await assert.rejects(async () => buffer(await decompress(source)), isExpected);
      await until(() => childrenOf(process.pid).length === 0);
    }
  });

  test(`decompress() of ${program} ends the program and the source when the output is destroyed`, async () => {
    const source = inPieces(Buffer.concat(Array<Buffer>(20).fill(compressed(program))), 4096);
    const output = await decompress(source);
    await once(output, 'readable');
    output.destroy();
    await until(() => source.destroyed && childrenOf(process.pid).length === 0);
  });

  test(`decompress() of ${program} fails when the source fails`, async () => {
    const source = new PassThrough();
    source.write(compressed(program).subarray(0, 50_000));
    const output = await decompress(source);
    source.destroy(new Error('connection lost'));
    await assert.rejects(buffer(output), /connection lost/);
    await until(() => childrenOf(process.pid).length === 0);
  });
}

test('decompress() hands a plain stream out as it is, without listeners of its own', async () => {
  const source = new PassThrough();
  const before = listenersOf(source);
  source.write(content);
  const output = await decompress(source);
  assert.equal(output, source);
  assert.deepEqual(listenersOf(source), before);
  source.end();
  assert.ok((await buffer(output)).equals(content));
});

test('decompress() of an empty or tiny stream is that stream', async () => {
  for (const text of ['', 'x', 'BZh']) {
    const source = Readable.from(text === '' ? [] : [Buffer.from(text)], { objectMode: false });
    assert.equal((await buffer(await decompress(source))).toString(), text);
  }
});

test('decompress() rejects with what the source fails of', async () => {
  const source = new PassThrough();
  const decompressed = decompress(source);
  source.destroy(new Error('connection lost'));
  await assert.rejects(decompressed, /connection lost/);
  await assert.rejects(decompress(source));
});

test('decompress() names a program that is missing, and its package', async (t) => {
  const path = process.env['PATH'];
  t.after(() => (process.env['PATH'] = path));
  const input = compressed('xz');
  process.env['PATH'] = '/nonexistent';
  await assert.rejects(
    async () => buffer(await decompress(inPieces(input, 4096))),
    /^ArchiveError: Cannot decompress the archive: program "xz" is missing, install package "xz-utils"$/,
  );
});

test('decompress() leaves a socket open that was read to its end', async (t) => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void decompress(socket)
      .then(buffer)
      .then((received) => socket.end(String(received.length)));
  });
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server
  const client = connect(port, '127.0.0.1');
  client.end(gzipSync(content));
  assert.equal((await buffer(client)).toString(), String(content.length));
});

// "tsdock\n", by `xz --lzma2=dict=1536MiB` and `zstd --long=31`: to undo it wants 1.5 and 2 GiB.
const HUNGRY = {
  xz: 'fd377a585a000004e6d6b44602002101250000003b787b410100067473646f636b0a0000b4fc41834c8f4c8600011f07162eb8731fb6f37d010000000004595a',
  zstd: '28b52ffd04a83900007473646f636b0ab7d0df20',
};

for (const [program, hex] of Object.entries(HUNGRY)) {
  test(`decompress() gives ${program} no more memory than it should need`, async () => {
    const said = `${program}: .*memory.* \\(at most ${MAX_MEMORY_MIB} MiB are given\\)$`;
    await assert.rejects(
      buffer(await decompress(inPieces(Buffer.from(hex, 'hex'), 10))),
      new RegExp(`^ArchiveError: Cannot decompress the archive: ${said}`, 'i'),
    );
    await until(() => childrenOf(process.pid).length === 0);
  });

  test(`decompress() undoes what ${program} makes at its best`, async () => {
    const best = program === 'xz' ? ['-9e', '-c'] : ['--ultra', '-22', '-q', '-c'];
    const packed = execFileSync(program, best, { input: content });
    assert.ok((await buffer(await decompress(inPieces(packed, 65_536)))).equals(content));
  });
}
