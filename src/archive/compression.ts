// Recognises how an archive is compressed, by its first bytes and never by a name, and undoes it as a stream.
//
// `importLayer` asks, in the daemon's own thread: zlib works on threads of its own, and bzip2, xz and zstd are programs beside us.
//
// The rules that must hold: the stream that is handed out ends only after the decompressor said that all was well; else it
// fails with one `ArchiveError`. Whichever end goes away, the other is destroyed and the program is ended. And no archive
// makes a program take more memory than `MAX_MEMORY_MIB`, whatever it claims to need: gzip and bzip2 cannot need much.
//
// 2013: image/archive.go, Compression

import { spawn } from 'node:child_process';
import { PassThrough, Readable, finished, type Writable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { hasCode } from '../linux/libc.js';
import { ArchiveError, reason } from './archive-error.js';

const CHUNK_SIZE = 256 * 1024;
const HEAD_SIZE = 10; // the longest mark below
const MAX_STDERR = 2048;
/**
 * DIFFERS D59: the tar program of the original gave an archive all the memory that it asked for.
 *
 * What a program may take to look back in, in MiB. `xz -9` needs 65, `zstd --ultra -22` 128; a few bytes can ask for 1,536
 * of the one and for 2,048 of the other.
 */
export const MAX_MEMORY_MIB = 128;
const CANNOT_DECOMPRESS = 'Cannot decompress the archive';

// The errors of writing to a program that has ended already: its status tells more.
const ENDED_EARLY = ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED'];

/** A form of compression, and what undoes it. */
export interface Compression {
  name: 'gzip' | 'bzip2' | 'xz' | 'zstd';
  /** the package that has the program of the same name, where a program is needed */
  packageName: string;
  /** bounds its memory */
  bound: readonly string[];
  /** what the first bytes look like, one character a byte */
  mark: RegExp;
}

const COMPRESSIONS: readonly Compression[] = [
  { name: 'gzip', packageName: 'gzip', bound: [], mark: /^\x1f\x8b\x08/ },
  // Its first block, or the end of an empty one: "BZh" alone could begin the name of a file in a plain archive.
  { name: 'bzip2', packageName: 'bzip2', bound: [], mark: /^BZh[1-9](1AY&SY|\x17rE8P\x90)/ },
  {
    name: 'xz',
    packageName: 'xz-utils',
    bound: [`--memlimit-decompress=${MAX_MEMORY_MIB}MiB`],
    mark: /^\xfd7zXZ\x00/,
  },
  // An ordinary frame, or one to be skipped, with which parallel compressors begin.
  {
    name: 'zstd',
    packageName: 'zstd',
    bound: [`--memory=${MAX_MEMORY_MIB}MiB`],
    mark: /^(\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)/,
  },
];

/**
 * The content of `source`, decompressed where it is compressed; `source` itself where it is not. Rejects with what `source`
 * failed of. Who gets the stream destroys it when it is not read to its end; that destroys `source` too.
 */
export async function decompress(source: Readable): Promise<Readable> {
  const head = await readHead(source);
  const compression = findCompression(head);
  let whole = source;
  if (source.readableEnded) whole = Readable.from(head.length === 0 ? [] : [head], { objectMode: false });
  else source.unshift(head);
  if (compression === undefined) return whole;
  return compression.name === 'gzip' ? throughZlib(whole) : throughProgram(whole, compression);
}

/** How an archive that begins with `head` is compressed; undefined where it is not, or in a way unknown to us. */
export function findCompression(head: Buffer): Compression | undefined {
  const text = head.toString('latin1', 0, HEAD_SIZE);
  return COMPRESSIONS.find(({ mark }) => mark.test(text));
}

async function readHead(source: Readable): Promise<Buffer> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const chunk of source.iterator({ destroyOnReturn: false })) {
    const part = chunk as Buffer; // a stream of bytes
    parts.push(part);
    length += part.length;
    if (length >= HEAD_SIZE) break;
  }
  return Buffer.concat(parts, length);
}

// Files of several members, one after the other, are one file.
function throughZlib(source: Readable): Readable {
  const output = new PassThrough({ highWaterMark: CHUNK_SIZE });
  const gunzip = createGunzip({ chunkSize: CHUNK_SIZE });
  gunzip.on('error', (error) => output.destroy(failure('gzip', error)));
  feed(source, gunzip, (error) => {
    if (error !== undefined) output.destroy(failure('gzip', error));
  });
  gunzip.pipe(output);
  output.once('close', () => gunzip.destroy());
  return output;
}

function throughProgram(source: Readable, { name, packageName, bound }: Compression): Readable {
  const output = new PassThrough({ highWaterMark: CHUNK_SIZE });
  const child = spawn(name, ['-dc', ...bound], { stdio: 'pipe', env: { ...process.env, LC_ALL: 'C' } });
  let stderr = '';
  let fedError: Error | undefined;
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(0, MAX_STDERR)));
  child.stdout.pipe(output, { end: false }); // whether it was the end, the status tells
  child.stdin.on('error', ignore); // feed() tells the first one
  feed(source, child.stdin, (error) => (fedError = error));
  child.once('error', (error) => {
    const missing = new ArchiveError(
      `${CANNOT_DECOMPRESS}: program "${name}" is missing, install package "${packageName}"`,
    );
    output.destroy(hasCode(error, 'ENOENT') ? missing : failure(name, error));
  });
  child.once('close', (status, signal) => {
    const isFedBadly = fedError !== undefined && (status === 0 || !hasCode(fedError, ...ENDED_EARLY));
    if (isFedBadly) output.destroy(failure(name, fedError));
    else if (status === 0) output.end();
    else output.destroy(failure(name, complaint(stderr) || `ended with ${signal ?? `status ${status ?? -1}`}`));
  });
  output.once('close', () => {
    child.kill('SIGKILL'); // without effect where it has ended
    child.stdin.destroy(); // which destroys the source too
    child.stdout.destroy();
  });
  return output;
}

// As pipeline(), which would leave its listeners on a source that is not ours. Where one goes away early, the other is destroyed.
function feed(source: Readable, sink: Writable, settled: (error: Error | undefined) => void): void {
  let isSettled = false;
  const settle = (error: Error | undefined): void => {
    if (isSettled) return;
    isSettled = true;
    stopSource();
    stopSink();
    source.unpipe(sink);
    if (error !== undefined) {
      sink.destroy();
      source.destroy();
    }
    settled(error);
  };
  const stopSource = finished(source, { writable: false }, (error) => {
    if (error) settle(error); // its end is not yet that of the sink
  });
  const stopSink = finished(sink, { readable: false }, (error) => settle(error ?? undefined));
  source.pipe(sink);
}

// The first line, as some programs write a whole letter; where it is about memory, with how much they were given.
function complaint(text: string): string {
  const line = (text.trim().split('\n')[0] ?? '').replace(/\s*[;:,]?\s*$/, '');
  return /memory/i.test(line) ? `${line} (at most ${MAX_MEMORY_MIB} MiB are given)` : line;
}

function failure(name: string, cause: unknown): ArchiveError {
  return new ArchiveError(
    `${CANNOT_DECOMPRESS}: ${name}: ${reason(cause)}`,
    cause instanceof Error ? cause : undefined,
  );
}

function ignore(): void {
  // see where it is used
}
