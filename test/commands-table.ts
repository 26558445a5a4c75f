// The README's table of commands, from the declarations. `node dist/test/commands-table.js --write` puts it there; a test
// compares.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../src/server/server.js';

const README = fileURLToPath(new URL('../../README.md', import.meta.url));
const TABLE = /(<!-- commands:[^\n]*-->\n)[^]*?(<!-- end of commands -->)/;

/** The README as it is, and as it should be. */
export function readmeWithTable(): { actual: string; expected: string } {
  const rows = COMMANDS.map(({ name, synopsis, flags, description }) => {
    const flagNames = Object.keys(flags).map((flag) => `\`-${flag}\``);
    return `| \`${`${name} ${synopsis}`.trim()}\` | ${flagNames.join(' ')} | ${description} |\n`;
  });
  const table = `\n| command | flags | what it does |\n| --- | --- | --- |\n${rows.join('')}\n`;
  const actual = readFileSync(README, 'utf8');
  return { actual, expected: actual.replace(TABLE, (_, begin: string, end: string) => begin + table + end) };
}

if (process.argv.includes('--write')) writeFileSync(README, readmeWithTable().expected);
