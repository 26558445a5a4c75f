// What the READMEs say must be true: the table of commands, and the numbered quirks and differences.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readmeWithTable } from './commands-table.js';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));

test('README.md has the table of commands that the declarations give', () => {
  const { actual, expected } = readmeWithTable();
  assert.equal(actual, expected, 'run: npm run build && node dist/test/commands-table.js --write');
  assert.match(actual, /\| `run \[OPTIONS\] IMAGE COMMAND/);
});

test('src/README.md has an entry for each mark in the code, and a mark for each entry', () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const code = files.map((file) => readFileSync(join(SOURCE, file), 'utf8')).join('\n');
  const numbers = (text: string, pattern: RegExp): string[] =>
    [...new Set([...text.matchAll(pattern)].map(([, number = '']) => number))].sort();
  const marks = numbers(code, /(?:QUIRK|DIFFERS) ([QD]\d\d):/g);
  const entries = numbers(readFileSync(join(SOURCE, 'README.md'), 'utf8'), /^- \*\*([QD]\d\d)\*\*/gm);
  assert.ok(marks.length > 5);
  assert.deepEqual(entries, marks);
});
