// The file that `npm run build` makes of the client: what is in it, and what it loads from beside it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from '../archive/tar-builder.js';

const BUNDLE = fileURLToPath(new URL('../../../examples/bundle.js', import.meta.url));
const COMPILED = fileURLToPath(new URL('../../src', import.meta.url));

test('bundle.js puts the client into one file, and leaves out what few calls need, where it is found', (t) => {
  const file = join(temporaryFolder(t), 'tsdock.cjs');
  execFileSync(process.execPath, [BUNDLE, file]);
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^#!\/usr\/bin\/env node\n/);
  const asked = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name = '']) => name);
  // Each costs the start of every call.
  assert.deepEqual([...new Set(asked(/\brequire\("([^"]+)"\)/g))].sort(), [
    'node:events',
    'node:fs',
    'node:net',
    'node:os',
    'node:path',
    'node:tty',
  ]);
  const onDemand = asked(/\bimport\("([^"]+)"\)/g);
  for (const name of ['./client/tls-connection.js', './linux/pty.js', './server/daemon.js'])
    assert.ok(onDemand.includes(name), name);
  const files = onDemand.filter((name) => name.startsWith('.'));
  assert.deepEqual(
    files.filter((name) => !existsSync(join(COMPILED, name))),
    [],
  );
});
