// A tree of the shape of a small Debian root: about 200 MB in 6,800 entries, most files small, a few large, many links.
// Generated, so that it is the same everywhere and needs no mirror.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fixtureTar } from '../fixture.js';

const FILES = 5_200;
const LINKS = 900;
const FOLDERS = 700;
const BYTES = 200_000_000;

/** Writes the archive of such a tree, which can run busybox, to `path`. */
export function writeDebianShape(path: string): void {
  const root = mkdtempSync(join(tmpdir(), 'tsdock-bench-tree-'));
  try {
    execFileSync('tar', ['-x', '-C', root], { input: fixtureTar() });
    const random = generator(1);
    const content = Buffer.alloc(4 << 20);
    for (let at = 0; at < content.length; at += 4) content.writeUInt32LE(random(), at);
    let left = BYTES;
    for (let i = 0; i < FILES; i++) {
      const name = join(root, debianFile(i));
      // One in forty is large, and holds most of the bytes.
      const size = Math.min(left, i % 40 === 0 ? 1_200_000 + (random() % 400_000) : random() % 9_000);
      const start = random() % (content.length / 2);
      mkdirSync(dirname(name), { recursive: true });
      writeFileSync(name, content.subarray(start, start + size), { mode: i % 10 === 0 ? 0o755 : 0o644 });
      left -= size;
      if (i < LINKS) symlinkSync(`file-${i}`, `${name}.so`);
    }
    execFileSync('tar', ['--sort=name', '--numeric-owner', '-C', root, '-cf', path, '.']);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** The path of the file of that number, relative to the root. */
export function debianFile(number: number): string {
  const folder = number % FOLDERS;
  return `usr/lib/d${folder % 17}/p${folder}/file-${number}`;
}

/** Pseudo-random 32-bit numbers, the same ones each time (xorshift). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
