// How fast an attached container prints, its log kept, beside other engines: a file of lines, from the page cache, through the
// client of each into a pipe that is read.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PROGRAM } from '../harness.js';
import { entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { duration, figuresInTurn } from './measure.js';
import { callPeer, type Command, type Peer } from './peer.js';
import { withSides, type Bench } from './sides.js';

const LINE = `${'0123456789abcdef'.repeat(4).slice(0, 63)}\n`;
const FILE_BYTES = 32 * 1024 * 1024;
const TIMES = { quick: 4, full: 8 };

/** See the head of the file. */
export async function benchOutput(bench: Bench): Promise<void> {
  await withSides(bench, async ({ daemon, docker, podman }) => {
    const times = bench.isQuick ? TIMES.quick : TIMES.full;
    const bytes = FILE_BYTES * times;
    const image = imageWithLines();
    const print = ['/bin/cat', ...Array.from({ length: times }, () => '/data/lines')];
    assert.match(await daemon.callWith(image, 'put', 'lines'), /^lines:/);
    const theirs = async (peer: Peer | undefined): Promise<{ [name: string]: () => Promise<number> }> => {
      if (peer === undefined) return {};
      await callPeer(peer, ['import', '-', 'lines'], image);
      return { [peer.name]: () => speed(peer.command('run', '--rm', '--network', 'none', 'lines', ...print), bytes) };
    };
    const DOCKER = `${daemon.tcp.host}:${daemon.tcp.port}`;
    const client = {
      file: process.execPath,
      args: [PROGRAM, 'run', 'lines', ...print],
      env: { ...process.env, DOCKER },
    };
    const figures = await figuresInTurn<string>(
      {
        client: async () => {
          const figure = await speed(client, bytes);
          const [id = ''] = (await daemon.call('ps', '-a', '-q')).split('\n');
          assert.equal(loggedBytes(join(daemon.directory, 'containers', id)), bytes);
          assert.equal(await daemon.call('rm', id), '');
          return figure;
        },
        ...(await theirs(docker)),
        ...(await theirs(podman)),
        pipe: () => speed({ file: '/bin/sh', args: ['-c', `cat ${linesOf(daemon.directory, times)}`], env: {} }, bytes),
      },
      Math.ceil(bench.runs / 2),
    );
    bench.report({
      what: `attached output, log kept, ${bytes / 1024 / 1024} MiB of lines`,
      unit: 'MB/s',
      ours: figures['client'] ?? NaN,
      beside: { docker: figures['docker'], podman: figures['podman'], 'no container': figures['pipe'] },
      against: [{ to: 'podman', bound: 1, ambition: 1.5, isLeast: true }],
    });
  });
}

/** In megabytes a second, from the start of that client to its end. */
async function speed({ file, args, env }: Command, bytes: number): Promise<number> {
  let read = 0;
  const took = await duration(
    () =>
      new Promise<void>((resolve, reject) => {
        const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
        child.stdout.on('data', (chunk: Buffer) => (read += chunk.length));
        child.once('error', reject);
        child.once('close', (status) =>
          status === 0 ? resolve() : reject(new Error(`"${file}" ended with ${status}`)),
        );
      }),
  );
  assert.equal(read, bytes);
  return bytes / 1e6 / (took / 1e3);
}

/** The fixture with a file of lines in it. */
function imageWithLines(): Buffer {
  const blocks = 1024; // an archive ends with two empty blocks, and tar fills it up with more
  const base = fixtureTar();
  let end = base.length;
  while (end >= 512 && base.subarray(end - 512, end).every((byte) => byte === 0)) end -= 512;
  const file = entry({ name: 'data/lines', content: LINE.repeat(FILE_BYTES / LINE.length) });
  return Buffer.concat([base.subarray(0, end), file, Buffer.alloc(blocks)]);
}

function linesOf(directory: string, times: number): string {
  const layers = join(directory, 'images/layers');
  const layer = readdirSync(layers).find((name) =>
    statSync(join(layers, name, 'data/lines'), { throwIfNoEntry: false }),
  );
  return Array.from({ length: times }, () => `'${join(layers, layer ?? '', 'data/lines')}'`).join(' ');
}

function loggedBytes(folder: string): number {
  const log = readdirSync(folder).find((name) => name.endsWith('-stdout.log')) ?? '';
  return statSync(join(folder, log)).size;
}
