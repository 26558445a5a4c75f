// One call of a fuzz round: which command, with which arguments and input, on which of the three transports, and how the
// caller behaves. Commands are found by reflection, arguments by their declarations: a command that is added is fuzzed too.

import type { Flags } from '../../src/rcli/command.js';
import { encodeFrame, FrameType } from '../../src/rcli/frames.js';
import { COMMANDS, Server } from '../../src/server/server.js';
import { gzipSync } from 'node:zlib';
import { archive, entry } from '../archive/tar-builder.js';
import { randomArchive } from './archive-targets.js';
import type { Random } from './random.js';
import { randomFlag, randomLine } from './wire-targets.js';

/** What is there to be named, as far as the callers know. */
export interface World {
  readonly containers: string[];
  readonly images: string[];
  /** where `pull` finds something */
  readonly urls: readonly string[];
}

/** A call, to the last byte. */
export interface RandomCall {
  /** for messages, and what the reply is judged by */
  word: string;
  transport: 'tcp' | 'framed' | 'http';
  pieces: readonly Buffer[];
  /** the bytes are what a good caller would send */
  isValid: boolean;
  /** the caller hangs up after so many of its pieces; undefined for one that waits for the reply */
  hangUpAfter: number | undefined;
  /** how long the caller waits for the end of the reply, in milliseconds */
  patienceMs: number;
  /** the call ends by itself, and soon */
  isQuick: boolean;
}

/** The command words that the server's own reflection finds. */
export const WORDS: readonly string[] = commandWords();

const PATHS = [
  '/',
  '/data/one',
  '/data',
  '/etc/passwd',
  '/bin/sh',
  '/../../etc/passwd',
  '/nosuch',
  'data/one',
  '/proc/self/mem',
  '/dev/zero',
];
const PROGRAMS = [
  ['true'], ['false'], ['/bin/echo', 'x'], ['sh', '-c', 'exit 3'], ['sleep', '0.2'], ['sleep', '3'], ['cat'], ['nosuch'], ['/data/plain'],
  ['sh', '-c', 'echo x > /data/new; rm /data/one'], ['head', '-c', '100000', '/dev/zero'], ['sh', '-c', 'kill -9 $$'],
  ['sh', '-c', 'trap "" TERM; sleep 2'],
]; // prettier-ignore
/** These answer from what is known, whatever goes on. */
const QUICK = ['ps', 'images', 'inspect', 'info', 'version', 'layers', 'web', 'port', 'cp', 'help'];
/** Of so many of the newest containers one is named: the older ones may be gone. */
const RECENT = 4;
const PLAIN_TRANSPORTS = ['tcp', 'framed'] as const;
const TRANSPORTS = ['tcp', 'tcp', 'framed', 'http'] as const;
const PATIENCE_MS = [20, 100, 400, 1_500];
const QUICK_PATIENCE_MS = 60_000;

function commandWords(): string[] {
  const words: string[] = [];
  for (let level: unknown = Server.prototype; level !== null && typeof level === 'object';) {
    words.push(...Object.getOwnPropertyNames(level).filter((name) => /^Cmd[A-Z]/.test(name)));
    level = Object.getPrototypeOf(level);
  }
  return words.map((name) => name.slice('Cmd'.length).toLowerCase()).sort();
}

/** The next call of a caller. `httpHost` is where the HTTP server listens; empty where no call is to go there. */
export function randomCall(random: Random, world: World, httpHost: string): RandomCall {
  const word = randomWord(random);
  const words = [word, ...randomArguments(random, word, world)];
  const input = randomInput(random, word);
  const transport = random.pick(httpHost === '' ? PLAIN_TRANSPORTS : TRANSPORTS);
  const bytes = { tcp: plainBytes, framed: framedBytes, http: httpBytes }[transport](random, words, input, httpHost);
  const isValid = !random.once(8);
  const pieces = random.split(isValid ? bytes : random.mutate(bytes)).slice(0, 5_000);
  const hangsUp = random.once(6);
  const isQuick = QUICK.includes(word);
  return {
    word,
    transport,
    pieces,
    isValid,
    hangUpAfter: hangsUp ? random.below(pieces.length + 1) : undefined,
    patienceMs: isQuick ? QUICK_PATIENCE_MS : random.pick(PATIENCE_MS),
    isQuick,
  };
}

function randomWord(random: Random): string {
  if (random.once(30)) return random.text(1);
  const word = random.pick([...WORDS, 'run', 'run', 'commit', 'help']);
  // What removes things leaves little for the others.
  return word.startsWith('rm') && !random.once(4) ? random.pick(['cat', 'ls', 'diff', 'tar', 'start']) : word;
}

function randomArguments(random: Random, word: string, world: World): string[] {
  const declared = COMMANDS.find(({ name }) => name === word);
  const flags = random.once(2) ? [] : random.list(2, () => flag(random, declared?.flags ?? {}));
  // What the synopsis asks for, most of the time; at times something else, more or less.
  // The synopsis of `attach` is that of 2013, and does not say whom.
  const synopsis = word === 'attach' ? 'CONTAINER' : (declared?.synopsis ?? '');
  const wanted = synopsis
    .replaceAll(/[[\]]|OPTIONS|\.\.\./g, '')
    .split(/\s+/)
    .filter(Boolean);
  const given = wanted.slice(0, random.once(8) ? random.below(wanted.length + 1) : wanted.length);
  const positional = given.flatMap((what) => positionalFor(random, what, word, world));
  return [...flags, ...positional, ...(random.once(10) ? [random.text()] : [])];
}

/** A flag with a value that means something, most of the time. */
function flag(random: Random, declared: Flags): string {
  const names = Object.keys(declared);
  if (names.length === 0 || random.once(12)) return randomFlag(random, names);
  const name = random.pick(names);
  const isBoolean = typeof declared[name]?.value === 'boolean';
  if (isBoolean) return `-${name}${random.pick(['', '', '=true', '=false'])}`;
  const values: Readonly<Record<string, readonly string[]>> = {
    net: ['none', 'bridge', 'host', `container:${random.text(1)}`],
    p: ['80', '80', '80/udp', '8080:80', '0'],
    t: ['0', '0', '1', '-1', String(random.edge())],
    tail: ['0', '3', '-5', String(random.edge())],
    u: ['0', 'alice', '1000', '4294967295', random.text(2)],
    c: [random.text()],
    l: ['1', '-1', String(random.edge())],
  };
  return `-${name}=${random.pick(values[name] ?? ['', '1', random.text(1)])}`;
}

function positionalFor(random: Random, what: string, word: string, world: World): string[] {
  if (random.once(16)) return [random.text()];
  const any = (list: readonly string[]): string => (list.length === 0 ? 'nosuch' : random.pick(list));
  if (what === 'IMAGE' || what === 'DEST') return [any([...world.images, 'base', 'base', 'base', 'other'])];
  if (what === 'COMMAND') return random.once(8) ? random.list(3, () => random.text()) : [...random.pick(PROGRAMS)];
  if (what.startsWith('ARG')) return [];
  if (what === 'PATH' && !random.once(3)) return [word === 'ls' ? '/data' : '/data/one'];
  if (what === 'PATH') return [random.pick(PATHS)];
  if (what === 'PRIVATE_PORT') return [random.pick(['80', '80/tcp', '81', random.text(1)])];
  if (what === 'NAME' && word === 'pull') return [any(world.urls)];
  if (what === 'NAME' && ['put', 'cp', 'images'].includes(word))
    return [random.once(2) ? any(world.images) : random.text(2)];
  return random.once(12) ? [any(world.images)] : [any(world.containers.slice(-RECENT))];
}

function randomInput(random: Random, word: string): Buffer {
  if (word !== 'put' || random.once(6)) return random.once(2) ? Buffer.of() : Buffer.from(random.text(8));
  const made = random.once(3) ? randomArchive(random) : archive(entry({ name: 'f', content: random.bytes(2_000) }));
  const packed = random.once(3) ? gzipSync(made) : made;
  return random.once(4) ? random.mutate(packed) : packed;
}

function plainBytes(random: Random, words: readonly string[], input: Buffer): Buffer {
  const line = random.once(20) ? randomLine(random) : JSON.stringify(words);
  return Buffer.concat([Buffer.from(`${line}\n`), input]);
}

function framedBytes(random: Random, words: readonly string[], input: Buffer): Buffer {
  const tty = random.once(2) ? { rows: random.edge(), cols: 80, term: random.text(1) } : undefined;
  const parts: Buffer[] = [Buffer.from(`${JSON.stringify({ frames: 1, args: words, tty })}\n`)];
  for (const piece of random.split(input).slice(0, 50)) {
    if (random.once(4)) parts.push(encodeFrame(FrameType.window, JSON.stringify({ rows: random.edge(), cols: 40 })));
    if (random.once(6))
      parts.push(
        encodeFrame(FrameType.signal, JSON.stringify({ signal: random.pick(['SIGINT', 'SIGTERM', 'SIGWINCH']) })),
      );
    parts.push(encodeFrame(FrameType.stdin, piece));
  }
  parts.push(encodeFrame(FrameType.stdin, ''));
  return Buffer.concat(parts);
}

function httpBytes(random: Random, [word = '', ...args]: readonly string[], input: Buffer, host: string): Buffer {
  const query = args.map((arg) => `q=${encodeURIComponent(Buffer.from(arg).toString())}`).join('&');
  const target = `/${encodeURIComponent(Buffer.from(word).toString())}?${query}`;
  const isChunked = random.once(2);
  const head = [
    `${random.pick(['GET', 'POST', 'POST', 'PUT', 'HEAD', 'DELETE', 'OPTIONS'])} ${target} HTTP/1.1`,
    `Host: ${host}`,
    random.once(3) ? 'Connection: keep-alive' : 'Connection: close',
    isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${input.length}`,
    ...(random.once(8) ? ['Expect: 100-continue'] : []),
    ...(random.once(10) ? [`X: ${'x'.repeat(random.below(40_000))}`] : []),
  ];
  const chunks = random
    .split(input)
    .flatMap((piece) => [Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n')]);
  const body = isChunked ? Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')]) : input;
  const next = random.once(6)
    ? Buffer.from(`GET /version HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    : Buffer.of();
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body, next]);
}
