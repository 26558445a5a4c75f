// An image with perl in it: the one interpreter that every Debian has and that makes any system call by its number.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';

/** An uncompressed tar: the fixture, this machine's perl with what it is linked with, the program `/escape.pl`, and `more`. */
export function perlTar(...more: Buffer[]): Buffer {
  const perl = execFileSync('sh', ['-c', 'command -v perl']).toString().trim();
  const linked = execFileSync('ldd', [perl]).toString();
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path);
  const escape = fileURLToPath(new URL('../../../test/server/escape.pl', import.meta.url));
  const files = [
    ...libraries.map((path) => ({ path, name: path.slice(1) })),
    { path: perl, name: 'bin/perl' },
    { path: escape, name: 'escape.pl' },
  ];
  const entries = files.map(({ path, name }) => entry({ name, mode: 0o755, content: readFileSync(path) }));
  return Buffer.concat([...entries, ...more, fixtureTar()]);
}
