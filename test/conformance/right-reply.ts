// Makes up a reply that a step of a case accepts, in parts: what is exact, and what stands for a token. The tests of the replayer
// change the exact parts, one after the other, and every one of these changes must be seen.

import { TOKEN } from './bindings.js';
import { encode } from './bytes.js';
import type { Step } from './case.js';
import { writeAsGo, type Json } from './ordered-json.js';

/** A piece of a reply. */
export interface Part {
  text: string;
  isExact: boolean;
}

/** What the tokens of the tests stand for, free ones and those that a case binds. */
const VALUES: Readonly<Record<string, string>> = {
  id: '0a1b2c3d',
  hash: '0123456789abcdef',
  root: '/var/lib/docker',
  word: '49153',
  duration: '2 seconds',
  time: '2013-01-29T12:00:00Z',
  logtime: '2013/01/29 12:00:00',
  int: '7',
  nonzero: '7',
  any: 'anything',
  text: 'some\ntext',
  base: 'base:0123456789abcdef',
  basehash: '0123456789abcdef',
  bbsize: '1234567',
  bbsha: 'fedcba9876543210',
  uniq: 'abcdef',
  serve: 'http://127.0.0.1:1',
  lbrace: '{{',
};

/** The tokens that are given to every case. */
export const GIVEN = ['base', 'basehash', 'bbsize', 'bbsha', 'uniq', 'serve', 'root'].map(
  (token) => [token, VALUES[token] ?? ''] as const,
);

/** The parts of a right reply, or nothing where the step compares a checksum alone. */
export function rightReply(step: Step): Part[] | undefined {
  if (step.expect_usage !== undefined) {
    const { before, after, name, signature, flags } = step.expect_usage;
    const synopsis = `${name.split('|')[0] ?? ''} ${signature}`.trimEnd();
    const head = [...partsOf(before), exact('\nUsage: '), free('tsdock'), exact(` ${synopsis}\n\n`)];
    const listed = Object.entries(flags).flatMap(([flag, value]) => [exact(`  -${flag}=${value}: `), free('text\n')]);
    return [...head, free('What it does'), exact('\n\n'), ...listed, ...partsOf(after)];
  }
  if (step.expect_table !== undefined) return tableParts(step.expect_table);
  if (step.expect_json !== undefined) return jsonParts(step.expect_json, step.json_layout === 'indented');
  if (step.expect_b64 !== undefined) {
    return [{ text: Buffer.from(step.expect_b64, 'base64').toString('latin1'), isExact: true }];
  }
  const template = step.expect ?? step.expect_contains?.join('');
  return template === undefined ? undefined : partsOf(template);
}

/** The bytes of parts. */
export function bytesOf(parts: readonly Part[]): Buffer {
  return Buffer.from(parts.map(({ text }) => text).join(''), 'latin1');
}

function partsOf(template: string): Part[] {
  const lines = template.replaceAll('{{?}}', '');
  const parts: Part[] = [];
  let at = 0;
  for (const { 0: braces, 1: kind = '', index } of lines.matchAll(TOKEN)) {
    parts.push(exact(lines.slice(at, index)), free(VALUES[kind] ?? ''));
    at = index + braces.length;
  }
  return [...parts, exact(lines.slice(at))];
}

function tableParts({ rows, minwidth, padding, prefix = '' }: NonNullable<Step['expect_table']>): Part[] {
  const cells = rows.map((row) => row.map((cell) => partsOf(cell)));
  const length = (parts: Part[]): number =>
    encode(parts.map(({ text }) => Buffer.from(text, 'latin1').toString()).join('')).toString().length;
  const widths = (cells[0] ?? []).map((_, at) =>
    Math.max(minwidth, ...cells.map((row) => length(row[at] ?? []) + padding)),
  );
  const lines = cells.flatMap((row) =>
    row.flatMap((parts, at) =>
      at === row.length - 1
        ? [...parts, exact('\n')]
        : [...parts, exact(' '.repeat((widths[at] ?? 0) - length(parts)))],
    ),
  );
  return [...partsOf(prefix), ...lines];
}

/** A number is written without the marks of a text. */
function jsonParts(expected: Json, isIndented: boolean): Part[] {
  return partsOf(writeAsGo(expected, isIndented).replace(/"(\{\{(?:int|nonzero)\}\})"/g, '$1'));
}

function exact(text: string): Part {
  return { text: encode(text).toString('latin1'), isExact: true };
}

function free(text: string): Part {
  return { text, isExact: false };
}
