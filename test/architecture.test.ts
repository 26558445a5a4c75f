// The rooms of src/ may only look down: an import that runs upwards, or in a circle, fails here.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = resolve(dirname(fileURLToPath(import.meta.url)), '../../src');

/** What each room may import beside itself. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  'tsdock.ts': ['client', 'server', 'rcli', 'util'],
  client: ['rcli', 'linux', 'util'],
  server: ['rcli', 'container', 'image', 'filesystem', 'network', 'lxc', 'archive', 'linux', 'util'],
  rcli: ['util'],
  container: ['filesystem', 'network', 'lxc', 'archive', 'linux', 'util'],
  image: ['filesystem', 'network', 'lxc', 'archive', 'linux', 'util'],
  filesystem: ['archive', 'linux', 'util'],
  network: ['linux', 'util'],
  lxc: ['network', 'linux', 'util'],
  archive: ['linux', 'util'],
  linux: ['util'],
  util: [],
};

/** The imports of each file, as paths below src/. */
function readImports(): Map<string, string[]> {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(SOURCE, file), 'utf8');
      const names = [...text.matchAll(/(?:from|import\(|URL\()\s*'(\.[^']+)\.js'/g)].map(([, name = '']) => name);
      return [file, names.map((name) => `${relative(SOURCE, resolve(SOURCE, dirname(file), name))}.ts`)];
    }),
  );
}

const roomOf = (file: string): string => (file.includes('/') ? file.slice(0, file.indexOf('/')) : file);

test('src: every import goes to the own room or to one below it', () => {
  const imports = readImports();
  assert.ok(imports.size > 40, 'the imports were found');
  const upwards = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => roomOf(target) !== roomOf(file) && !ALLOWED[roomOf(file)]?.includes(roomOf(target)))
      .map((target) => `${file} -> ${target}`),
  );
  assert.deepEqual(upwards, []);
});

test('src: no import leads back to its own file', () => {
  const imports = readImports();
  const done = new Set<string>();
  const visit = (file: string, path: string[]): void => {
    const at = path.indexOf(file);
    assert.equal(at, -1, `a circle: ${[...path.slice(at), file].join(' -> ')}`);
    if (done.has(file)) return;
    for (const target of imports.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of imports.keys()) visit(file, []);
});

test('src: only src/linux imports koffi', () => {
  const users = [...readImports().keys()].filter((file) =>
    /from 'koffi'/.test(readFileSync(join(SOURCE, file), 'utf8')),
  );
  assert.deepEqual(users, ['linux/libc.ts']);
});

test('src: no shell, but the one that a person asks for', () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const codeOf = (file: string): string =>
    readFileSync(join(SOURCE, file), 'utf8').replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const filesWith = (pattern: RegExp): string[] => files.filter((file) => pattern.test(codeOf(file))).sort();
  // What takes a line for a shell to read, or asks for a shell around a program.
  assert.deepEqual(
    filesWith(
      /\bshell\s*:\s*(true|'[\w/]+')|\bexec(Sync)?\b[^;]*from 'node:child_process'|import \* as \w+ from 'node:child_process'/,
    ),
    [],
  );
  assert.deepEqual(filesWith(/require\(|from 'child_process'|process\.binding|new Function\(|\beval\(/), []);
  // Who starts programs at all, so that a new one is looked at.
  const starters = filesWith(/from '(node:child_process|[./]*linux\/spawn\.js)'/);
  assert.deepEqual(starters, [
    'archive/compression.ts',
    'client/interactive.ts',
    'container/holder.ts',
    'lxc/lxc-start.ts',
    'network/run-tool.ts',
  ]);
  const shells = filesWith(/['"`/](sh|bash|dash|busybox|env)['"`]/).filter((file) => starters.includes(file));
  assert.deepEqual(shells, ['client/interactive.ts']);
});
