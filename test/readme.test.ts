// What the READMEs say must be true: the table of commands, the numbered quirks and differences, what they name of the
// source, and what became of each function of 2013.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readmeWithTable } from './commands-table.js';
import { filesIn, missingIn, tableRows } from './named.js';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
const SYMBOLS = fileURLToPath(new URL('../../test/2013-symbols.txt', import.meta.url));
const GUIDE = readFileSync(join(SOURCE, 'README.md'), 'utf8');
const MAP = readFileSync(join(SOURCE, '2013.md'), 'utf8');

const numbers = (text: string, pattern: RegExp): string[] =>
  [...new Set([...text.matchAll(pattern)].map(([, number = '']) => number))].sort();
const entries = numbers(GUIDE, /^- \*\*([QD]\d\d)\*\*/gm);

test('README.md has the table of commands that the declarations give', () => {
  const { actual, expected } = readmeWithTable();
  assert.equal(actual, expected, 'run: npm run build && node dist/test/commands-table.js --write');
  assert.match(actual, /\| `run \[OPTIONS\] IMAGE COMMAND/);
});

test('src/README.md has an entry for each mark in the code, and a mark for each entry', () => {
  const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const code = files.map((file) => readFileSync(join(SOURCE, file), 'utf8')).join('\n');
  const marks = numbers(code, /(?:QUIRK|DIFFERS) ([QD]\d\d):/g);
  assert.ok(marks.length > 5);
  assert.deepEqual(entries, marks);
});

test('src/README.md names files and functions that are there', () => {
  const rows = tableRows(GUIDE).filter(({ heading }) => heading === 'One run, traced');
  assert.ok(rows.length > 20);
  assert.deepEqual(
    rows.flatMap(({ cells: [, here = ''] }) => [...(filesIn(here).length > 0 ? [] : [here]), ...missingIn(here)]),
    [],
  );
  const files = filesIn(GUIDE);
  assert.ok(files.length > 20);
  assert.deepEqual(
    files.flatMap((file) => missingIn(`\`${file}\``)),
    [],
  );
});

test('src/2013.md has a row for each function and type of 2013, and no other', () => {
  const symbols = readFileSync(SYMBOLS, 'utf8')
    .split('\n')
    .filter((line) => /^(january|march) /.test(line));
  const rows = tableRows(MAP).map(({ heading, cells: [first = ''] }) => {
    const [, symbol = '', march] = /^`([^`]+)`( March)?$/.exec(first) ?? [];
    return `${march === undefined ? 'january' : 'march'} ${heading} ${symbol}`;
  });
  assert.ok(symbols.length > 250);
  assert.deepEqual(rows.sort(), symbols.sort());
});

test('src/2013.md names files, functions and tests that are there, and says why where it names none', () => {
  const wrong = tableRows(MAP).flatMap(({ cells: [symbol = '', here = '', why = ''] }) => {
    if (here === 'left out') return why.length > 5 ? [] : [`${symbol}: no reason`];
    return (filesIn(here).length === 0 ? ['no file'] : missingIn(here)).map((problem) => `${symbol}: ${problem}`);
  });
  assert.deepEqual(wrong, []);
});

test('src/2013.md refers to quirks and differences that src/README.md has', () => {
  const marks = numbers(MAP, /\b([QD]\d\d)\b/g);
  assert.ok(marks.length > 10);
  assert.deepEqual(
    marks.filter((mark) => !entries.includes(mark)),
    [],
  );
});
