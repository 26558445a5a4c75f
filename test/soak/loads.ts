// The loads that a daemon must bear, each in a size of the caller's choice: `npm test` takes small ones, `npm run soak` long
// ones.
//
// Each fails where a caller is not answered as it should be; the daemon is the caller's to start and to close.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFrame, FrameDecoder, FrameType } from '../../src/rcli/frames.js';
import { readAll, until, type TestDaemon } from '../harness.js';
import { openFilesOf, SOCKETS_AT_REST } from './while-probed.js';

/** How many containers are removed by one call. */
const REMOVED_AT_ONCE = 50;

/** Each of these connections asks for `ps`, within `withinMs`, spread evenly. All must be answered. */
export async function callOnEach(sockets: readonly Socket[], withinMs = 0): Promise<void> {
  const replies = await Promise.all(
    sockets.map(async (socket, i) => {
      if (withinMs > 0) await sleep((withinMs * i) / sockets.length);
      socket.end('["ps"]\n');
      return readAll(socket);
    }),
  );
  const wrong = replies.filter((reply) => !reply.toString().startsWith('ID '));
  assert.deepEqual(wrong.map(String), [], `${wrong.length} of ${sockets.length} calls`);
}

/** So many open connections to the TCP port, which the daemon has taken. */
export async function connectAll(daemon: TestDaemon, count: number): Promise<Socket[]> {
  const sockets = await Promise.all(Array.from({ length: count }, () => daemon.connect()));
  // Not how many more than before: what an earlier call had open may have been closed meanwhile.
  const taken = (): number => openFilesOf(daemon.pid).filter((name) => name === 'socket:').length;
  await until(() => taken() >= SOCKETS_AT_REST.length + count, 'the daemon has taken all connections');
  return sockets;
}

/** An open connection to the HTTP port. */
export async function connectHttp(daemon: TestDaemon): Promise<Socket> {
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(daemon.http) ?? [];
  const socket = connect({ host, port: Number(port), allowHalfOpen: true });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  socket.on('error', () => undefined);
  return socket;
}

/** How callers that never say what they want were told so. */
export interface Cut {
  reply: string;
  afterMs: number;
}

/** So many that never send anything, and so many that send one byte a second, on either port: resolves once all are cut. */
export async function sayNothing(daemon: TestDaemon, idle: number, slow: number): Promise<{ tcp: Cut[]; http: Cut[] }> {
  const cuts = { tcp: [] as Promise<Cut>[], http: [] as Promise<Cut>[] };
  for (const [transport, text, open] of [
    ['tcp', '["ps","-a","-q","-notrunc"]', () => daemon.connect()],
    ['http', 'GET /ps?q=-a HTTP/1.1', () => connectHttp(daemon)],
  ] as const) {
    const startedAt = performance.now(); // before: the daemon counts from when it has a connection, whoever waits for others
    const sockets = await Promise.all(Array.from({ length: (idle + slow) / 2 }, open));
    for (const [i, socket] of sockets.entries()) {
      const dribble = i < slow / 2 ? dribbleInto(socket, text) : undefined;
      const cut = readAll(socket).then((reply) => ({
        reply: reply.toString(),
        afterMs: performance.now() - startedAt,
      }));
      cuts[transport].push(cut.finally(() => clearInterval(dribble)));
    }
  }
  return { tcp: await Promise.all(cuts.tcp), http: await Promise.all(cuts.http) };
}

function dribbleInto(socket: Socket, text: string): NodeJS.Timeout {
  let at = 0;
  return setInterval(() => socket.writable && socket.write(text.charAt(at++ % text.length)), 1_000);
}

/** So many containers, started by as many callers at once: their ids. */
export async function startAtOnce(daemon: TestDaemon, count: number, ...words: string[]): Promise<string[]> {
  const replies = await Promise.all(Array.from({ length: count }, () => daemon.call('run', 'base', ...words)));
  for (const reply of replies) assert.match(reply, /^[0-9a-f]{8}\n$/);
  return replies.map((reply) => reply.trim());
}

/** Removes containers, whatever they do. */
export async function removeAll(daemon: TestDaemon, ids: readonly string[]): Promise<void> {
  for (let i = 0; i < ids.length; i += REMOVED_AT_ONCE)
    assert.equal(await daemon.call('rm', '-f', ...ids.slice(i, i + REMOVED_AT_ONCE)), '');
}

/** What a reader of a long reply keeps of it. */
export interface Digest {
  bytes: number;
  sha256: string;
}

/** Reads to the end, and keeps no more than a digest. */
export async function digestOf(socket: Socket): Promise<Digest> {
  const hash = createHash('sha256');
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  await new Promise((resolve) => socket.once('end', resolve).once('close', resolve));
  socket.destroy();
  return { bytes, sha256: hash.digest('hex') };
}

/** A connection that has made its call. */
export async function beginCall(daemon: TestDaemon, ...words: string[]): Promise<Socket> {
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify(words)}\n`);
  return socket;
}

/** A framed call: what came on stderr, and the status. */
export async function framedCall(daemon: TestDaemon, ...words: string[]): Promise<{ stderr: string; status: string }> {
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify({ frames: 1, args: words })}\n`);
  socket.write(encodeFrame(FrameType.stdin, ''));
  const frames = [...new FrameDecoder().push(await readAll(socket))];
  const text = (type: number): string =>
    frames.flatMap((frame) => (frame.type === type ? [frame.payload.toString()] : [])).join('');
  return { stderr: text(FrameType.stderr), status: text(FrameType.status) };
}

/** So many attached runs of `/bin/true`, at most `atOnce` at a time, each removed. */
export async function runAndRemove(daemon: TestDaemon, runs: number, atOnce: number): Promise<void> {
  let left = runs;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      assert.equal(await daemon.call('run', '-a', 'base', '/bin/true'), '');
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  await removeAll(daemon, ids);
}
