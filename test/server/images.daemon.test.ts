// Images over the wire: put and pull of each compression, names, histories, and what is left of a failure.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { readAll, TestDaemon, until } from '../harness.js';
import { psLatencies } from './ps-latency.js';

const tar = fixtureTar();
const hash = createHash('sha256').update(tar).digest('hex').slice(0, 16);
let daemon: TestDaemon;
let web: Server;
let url = '';

before(async () => {
  daemon = await TestDaemon.start({ withImage: false });
  web = createServer((request, response) => {
    if (request.url === '/round.tar') response.writeHead(302, { Location: '/round.tar' }).end();
    else if (request.url === '/moved.tar') response.writeHead(302, { Location: '/image.tar' }).end();
    else if (request.url === '/image.tar') response.end(tar);
    else if (request.url === '/broken.tar')
      response
        .writeHead(200, { 'Content-Length': tar.length })
        .write(tar.subarray(0, 100_000), () => response.destroy());
    else response.writeHead(404).end('nothing here\n');
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => web.once('listening', resolve));
  const address = web.address();
  assert.ok(address !== null && typeof address === 'object');
  url = `http://127.0.0.1:${address.port}`;
});
after(async () => {
  web.closeAllConnections();
  web.close();
  await daemon.close();
});

test('put has the same id whatever the compression', async () => {
  for (const program of ['cat', 'gzip', 'bzip2', 'xz', 'zstd']) {
    const packed = execFileSync(program, { input: tar, maxBuffer: 1 << 27 });
    assert.equal(await daemon.callWith(packed, 'put', program), `${program}:${hash}\n`);
  }
  assert.equal(readdirSync(join(daemon.directory, 'images/layers')).length, 1);
});

test('put over HTTP takes the body', async () => {
  const response = await fetch(`http://${daemon.http}/put?q=web`, { method: 'POST', body: tar });
  assert.equal(await response.text(), `web:${hash}\n`);
});

test('pull names the image after its URL, follows a redirect, and runs', async () => {
  assert.equal(await daemon.call('pull', `${url}/moved.tar`), `${url}/moved.tar:${hash}\n`);
  assert.equal(await daemon.call('run', '-a', `${url}/moved.tar:${hash}`, 'echo', 'pulled'), 'pulled\n');
});

test('pull tries every port, also one that browsers do not', async () => {
  assert.match(await daemon.call('pull', 'http://127.0.0.1:1/x'), /^Error: Cannot pull "[^"]+": connect ECONNREFUSED /);
});

test('pull does not follow redirects for ever', async () => {
  assert.match(await daemon.call('pull', `${url}/round.tar`), /^Error: Cannot pull "[^"]+": more than 10 redirects\n$/);
});

test('pull of what is not there, breaks off or is no URL is one error and leaves no image', async () => {
  for (const bad of [
    `${url}/nothing`,
    `${url}/broken.tar`,
    'http://127.0.0.1:1/x',
    'gopher://127.0.0.1/x',
    'nonsense',
    '',
  ]) {
    assert.match(await daemon.call('pull', bad), /^Error: [^\n]+\n$/, bad);
    assert.equal(await daemon.call('images', '-q', bad), '', bad);
  }
});

test('a put that the caller breaks off leaves nothing', async () => {
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify(['put', 'broken'])}\n`);
  socket.write(tar.subarray(0, 1_000_000));
  await until(
    () => readdirSync(join(daemon.directory, 'images/layers')).some((name) => name.startsWith('.tmp')),
    'it unpacks',
  );
  socket.resetAndDestroy();
  await until(
    () => !readdirSync(join(daemon.directory, 'images/layers')).some((name) => name.startsWith('.tmp')),
    'it is gone',
  );
  assert.equal(await daemon.call('images', '-q', 'broken'), '');
});

test('images lists the versions of a name, newest first, and the same archive once', async () => {
  const other = execFileSync('tar', ['-c', '-C', '/etc', 'passwd']);
  const otherHash = createHash('sha256').update(other).digest('hex').slice(0, 16);
  await daemon.callWith(tar, 'put', 'versions');
  await daemon.callWith(tar, 'put', 'versions');
  await daemon.callWith(other, 'put', 'versions');
  assert.equal(await daemon.call('images', '-q', 'versions'), `versions:${otherHash}\nversions:${hash}\n`);
  assert.equal(await daemon.call('images', '-q', '-l', '1', 'versions'), `versions:${otherHash}\n`);
  assert.match(
    await daemon.call('images', 'versions'),
    // The disk may take its time between the moment that is shown and the answer.
    /^NAME +ID +CREATED +PARENT\nversions +versions:\w{16} +(Less than a second|\d+ seconds) ago +\n/,
  );
});

test('images survive the end of the daemon', async () => {
  const before = await daemon.call('images', '-q');
  await daemon.end('SIGKILL');
  await daemon.begin();
  assert.equal(await daemon.call('images', '-q'), before);
});

test(
  'put of 512 MiB: the memory of the daemon stays bounded, and it answers meanwhile',
  { timeout: 300_000 },
  async () => {
    const size = 512 * 1024 * 1024;
    const piece = randomBytes(1024 * 1024);
    const socket = await daemon.connect();
    const reply = readAll(socket);
    async function* archive(): AsyncGenerator<Buffer> {
      yield Buffer.from('["put","large"]\n');
      yield entry({ name: 'large', size, content: '' }).subarray(0, 512);
      for (let sent = 0; sent < size; sent += piece.length) yield piece;
      yield Buffer.alloc(1024);
    }
    const latencies = await psLatencies(daemon, () => pipeline(Readable.from(archive()), socket, { end: true }));
    assert.match((await reply).toString(), /^large:[0-9a-f]{16}\n$/);
    const [, peakKib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${daemon.pid}/status`, 'utf8')) ?? [];
    assert.ok(Number(peakKib) < 150_000, `${peakKib} KiB`);
    const median = latencies[Math.floor(latencies.length / 2)] ?? NaN;
    // 20 ms on a machine that does nothing else (see the benchmark): here other tests run beside.
    assert.ok(median < 100, `ps took ${median} ms`);
    assert.equal(await daemon.call('rmi', 'large'), '');
  },
);
