// Fuzz target: every command of a real daemon, from several callers at once, with arguments that lead somewhere and
// arguments that do not, some of whom hang up in the middle.
//
// A case is a round: it begins and ends with the image `base` alone. What must hold: each call ends, `version` is answered
// meanwhile, no reply and no line of the log shows a mistake of ours, a reply has one error at most, what is on disk can be
// read, and in the end the daemon holds no more than before.

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { FrameDecoder, FrameType, type Frame } from '../../src/rcli/frames.js';
import { archive, entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { until, type TestDaemon } from '../harness.js';
import { checkFiles, daemonState, residentMib, settled, type DaemonState } from './daemon-state.js';
import { checkText, shown, type Target } from './fuzz.js';
import { Random } from './random.js';
import { randomCall, type RandomCall, type World } from './round.js';

const CALLERS = 4;
const CALLS_EACH = 10;
/** How long a call may go on after its caller has gone and its container was removed, in milliseconds. */
const END_MS = 60_000;
/** Once in so many milliseconds `version` is asked, and answered within so many; three late ones in a row are a hang. */
const PING_EVERY_MS = 200;
const PING_MS = 5_000;
const LATE_PINGS = 3;
/** These print what a container or a caller holds: whatever it says is not the daemon's. */
const PRINTS_CONTENT = ['cat', 'tar', 'logs', 'attach', 'run', 'start', 'mirror'];

/** See the head of the file. Close it before the daemon. */
export class CommandTarget implements Target {
  /** of `version`, in milliseconds */
  longestPing = 0;
  /** of the daemon after each round, in MiB */
  readonly resident: number[] = [];
  calls = 0;
  readonly #daemon: TestDaemon;
  readonly #base = fixtureTar();
  readonly #web: Server;
  #baseId = '';
  #latePings = 0;
  #before: DaemonState | undefined;

  private constructor(
    readonly name: string,
    daemon: TestDaemon,
    web: Server,
  ) {
    this.#daemon = daemon;
    this.#web = web;
  }

  /** For a daemon that nobody else calls; on a machine of its own its HTTP port is out of reach, and is not called. */
  static async start(daemon: TestDaemon, name = 'commands'): Promise<CommandTarget> {
    const web = createServer((request, response) => {
      if (request.url === '/good.tar') response.end(archive(entry({ name: 'pulled', content: 'x' })));
      else if (request.url === '/loop') response.writeHead(302, { location: '/loop' }).end();
      else if (request.url === '/cut')
        response.writeHead(200, { 'content-length': 9999 }).write('x', () => response.destroy());
      else if (request.url === '/odd') response.writeHead(301, { location: 'http://[' }).end();
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    return new CommandTarget(name, daemon, web);
  }

  close(): void {
    this.#web.closeAllConnections();
    this.#web.close();
  }

  async run(random: Random): Promise<void> {
    const daemon = this.#daemon;
    await this.#clean([]);
    this.#before ??= daemonState(daemon, []);
    daemon.log = '';
    const { port } = this.#web.address() as AddressInfo; // it listens on TCP
    const urls = ['good.tar', 'good.tar', 'good.tar', 'good.tar', 'loop', 'cut', 'odd', 'missing'].map(
      (name) => `http://127.0.0.1:${port}/${name}`,
    );
    const world: World = {
      containers: [],
      images: ['base'],
      urls: [...urls, 'http://127.0.0.1:1/', 'file:///etc/passwd', 'x'],
    };
    // Something to work on from the first call on: one that runs, and one that has run.
    for (const program of [
      ['sleep', '4'],
      ['touch', '/data/new'],
    ])
      world.containers.push((await daemon.call('run', 'base', ...program)).trim());
    const ports: number[] = [];
    const pings = this.#ping();
    try {
      await Promise.all(
        Array.from({ length: CALLERS }, async () => {
          // A source of its own: how fast the others are must not change what a caller does.
          const own = new Random(random.below(2 ** 32));
          for (let left = CALLS_EACH; left > 0; left--)
            await this.#call(randomCall(own, world, this.#http), world, ports);
        }),
      );
      checkFiles(daemon);
      await this.#clean(world.containers);
    } finally {
      await pings.end();
    }
    await this.#allEnded(ports);
    await settled(daemon, this.#before, world.containers, () => this.#clean(world.containers));
    checkText(daemon.log, 'the log');
    checkFiles(daemon);
    this.resident.push(residentMib(daemon.pid));
  }

  /** Where HTTP calls go; empty where none do. */
  get #http(): string {
    return this.#daemon.tcp.host === '127.0.0.1' ? this.#daemon.http : '';
  }

  /** Does a call as its caller would, and judges the reply. */
  async #call(call: RandomCall, world: World, ports: number[]): Promise<void> {
    this.calls++;
    const [host = '', httpPort = ''] = this.#http.split(':');
    const to = call.transport === 'http' ? { host, port: Number(httpPort) } : this.#daemon.tcp;
    const socket = connect({ ...to, allowHalfOpen: true, noDelay: true });
    socket.on('error', () => undefined); // what we sent may end the connection
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    if (call.transport !== 'http') ports.push(socket.localPort ?? 0);
    const { text, hasEnded } = await converse(socket, call);
    if (call.isValid && call.isQuick && call.hangUpAfter === undefined && call.transport !== 'http') {
      assert.ok(hasEnded, `${call.word} has no end after ${call.patienceMs} ms: ${shown(text)}`);
    }
    judge(call, text);
    const isMadeContainer = ['run', 'start', 'ps'].includes(call.word);
    if (isMadeContainer) world.containers.push(...(text.match(/\b[0-9a-f]{8}\b(?![:\w])/g) ?? []).slice(0, 20));
    world.images.push(...(text.match(/^\S+:[0-9a-f]{16}$/gm) ?? []).slice(0, 5));
  }

  /** Removes all containers and all images but `base`, which is put where it is gone. */
  async #clean(known: string[]): Promise<void> {
    const daemon = this.#daemon;
    const all = async (...words: string[]): Promise<string[]> =>
      (await daemon.call(...words)).split('\n').filter(Boolean);
    // The images first: what a container alone still has must go with it.
    const images = await all('images', '-q');
    const isBaseAlone = images.length === 1 && images[0] === this.#baseId;
    if (!isBaseAlone) assert.equal(await daemon.call('rmi', '-r', '(?s)^'), '');
    await until(async () => {
      const ids = await all('ps', '-a', '-q');
      assert.equal(new Set(ids).size, ids.length, 'an id is doubled');
      known.push(...ids.filter((id) => !known.includes(id)));
      for (const id of ids) assert.match(await daemon.call('rm', '-f', '--', id), /^$|^Error: No such container/);
      return ids.length === 0;
    }, 'all containers are removed');
    if (isBaseAlone) return;
    this.#baseId = (await daemon.callWith(this.#base, 'put', 'base')).trim();
    assert.match(this.#baseId, /^base:[0-9a-f]{16}$/);
  }

  /** Each connection is one line of the log, once its call has ended. */
  async #allEnded(ports: readonly number[]): Promise<void> {
    const missing = (): number[] => ports.filter((port) => !this.#daemon.log.includes(`:${port} `));
    // Of a caller that was gone before it was seen nobody knows the port.
    const unknown = (): number => this.#daemon.log.split('?:?').length - 1;
    await until(() => missing().length <= unknown(), 'every call has ended', END_MS).catch((cause: unknown) => {
      throw new Error(`calls go on: of the ports ${missing().join(' ')}`, { cause });
    });
  }

  /** Asks for the version again and again. `end` rejects where the daemon was late. */
  #ping(): { end: () => Promise<void> } {
    const state = { isOver: false };
    const pinging = (async (): Promise<void> => {
      while (!state.isOver) {
        const from = performance.now();
        assert.match(await this.#daemon.call('version'), /tsdock/);
        const tookMs = performance.now() - from;
        this.longestPing = Math.max(this.longestPing, Math.round(tookMs));
        this.#latePings = tookMs > PING_MS ? this.#latePings + 1 : 0;
        assert.ok(this.#latePings < LATE_PINGS, `version takes ${Math.round(tookMs)} ms`);
        await new Promise((resolve) => setTimeout(resolve, PING_EVERY_MS));
      }
    })();
    pinging.catch(() => undefined); // until `end` tells
    return { end: () => ((state.isOver = true), pinging) };
  }
}

/** Sends the pieces and reads what comes, as long as the caller is patient. */
async function converse(socket: Socket, call: RandomCall): Promise<{ text: string; hasEnded: boolean }> {
  const chunks: Buffer[] = [];
  let hasEnded = false;
  const over = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunks.length < 2_000) chunks.push(chunk);
    });
    socket.once('end', () => ((hasEnded = true), resolve())).once('close', resolve);
  });
  for (const piece of call.pieces.slice(0, call.hangUpAfter)) {
    if (socket.destroyed || socket.readableEnded) break;
    socket.write(piece);
    // Most of them are to arrive one by one, if they are few.
    if (call.pieces.length < 50) await new Promise((resolve) => setImmediate(resolve));
  }
  if (call.hangUpAfter === undefined) {
    socket.end();
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([over, new Promise((resolve) => (timer = setTimeout(resolve, call.patienceMs)))]);
    clearTimeout(timer);
  }
  // Not after its `end`: node never closes a socket that is reset while its end is still to be sent.
  if (call.hangUpAfter !== undefined && call.hangUpAfter % 2 === 0) socket.resetAndDestroy();
  else socket.destroy();
  return { text: Buffer.concat(chunks).toString(), hasEnded };
}

function judge(call: RandomCall, text: string): void {
  let said = text;
  if (call.transport === 'http') {
    assert.ok(text === '' || /^HTTP\/1\.1 \d\d\d /.test(text), `no HTTP: ${shown(text)}`);
    said = text.slice(text.indexOf('\r\n\r\n') + 4);
  } else if (call.transport === 'framed' && call.isValid && text !== '') {
    said = framedText(Buffer.from(text, 'utf8'));
  }
  if (PRINTS_CONTENT.includes(call.word) && call.isValid && !said.startsWith('Error: ')) return;
  checkText(said, `the reply of ${call.word}`);
  const errors = said.match(/^Error: /gm) ?? [];
  assert.ok(errors.length <= 1 || !call.isValid || call.transport === 'http', `more than one error: ${shown(said)}`);
}

/** What the frames of a reply say on stdout and stderr. Binary content has become text, and its frames are not to be read. */
function framedText(bytes: Buffer): string {
  const frames: Frame[] = [];
  try {
    for (const frame of new FrameDecoder().push(bytes)) frames.push(frame);
  } catch {
    return '';
  }
  const [first] = frames;
  if (first !== undefined && first.type !== FrameType.hello) return bytes.toString();
  const texts = frames.filter(({ type }) => type === FrameType.stdout || type === FrameType.stderr);
  return texts.map(({ payload }) => payload.toString()).join('');
}
