// Which cases are played: by folder, by name, by file, by command, every N-th, and once more over HTTP.

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCase, referenceOf, type Case, type Step } from './case.js';

export const TRANSPORTS = ['tcp', 'http'] as const;
/** `tcp`: as the case says. `http`: each plain call of it over HTTP. */
export type Transport = (typeof TRANSPORTS)[number];

/** Where the cases are: the sources, seen from the compiled file. */
const HOME = fileURLToPath(new URL('../../../test/conformance', import.meta.url));
const FOLDERS = ['january', 'march', 'ours'];
/** Commands that may take their ten seconds. */
const SLOW = ['stop', 'restart', 'rm'];

/** A part of the cases: the I-th of N, and then every N-th. */
export interface Shard {
  at: number;
  of: number;
}

/** The cases that words name, in this order: all where there are none. Throws where a word names nothing. */
export function selectCases(words: readonly string[], shard: Shard = { at: 1, of: 1 }): Case[] {
  const files = (words.length === 0 ? FOLDERS : words).flatMap(filesOf);
  const chosen = files.filter((_, at) => at % shard.of === shard.at - 1).map(readCase);
  // January first: its cases take any images, those of March want but one.
  return [...chosen].sort((a, b) => referenceOf(a).localeCompare(referenceOf(b)));
}

/** Where several daemons share the work, what may take long comes first. */
export function slowFirst(cases: readonly Case[]): Case[] {
  const isSlow = ({ steps }: Case): boolean =>
    steps.some(({ args }) => args !== undefined && SLOW.includes(args[0] ?? ''));
  const rank = (played: Case): number => (referenceOf(played) === 'jan29' ? 0 : 2) + (isSlow(played) ? 0 : 1);
  return [...cases].sort((a, b) => rank(a) - rank(b));
}

/** The case with its plain calls over HTTP, where there are any and nothing else of it needs TCP. */
export function overHttp(played: Case): Case | undefined {
  const { steps } = played;
  if (!steps.some(isPlainCall) || steps.some((step) => needsTcp(step))) return undefined;
  return { ...played, steps: steps.map((step) => (isPlainCall(step) ? { ...step, transport: 'http' } : step)) };
}

/** A call whose word HTTP can carry: the last element of a path has no `/` in it, and is more than a place in the tree. */
function isPlainCall({ args, transport, conn }: Step): boolean {
  return (
    args !== undefined &&
    transport !== 'http' &&
    conn === undefined &&
    /^[^/]+$/.test(args[0] ?? '') &&
    !/^\.+$/.test(args[0] ?? '')
  );
}

function needsTcp(step: Step): boolean {
  const isTcpCall = step.args !== undefined && step.transport !== 'http' && !isPlainCall(step);
  const isOther = [step.conn, step.raw, step.raw_b64, step.parallel].some((key) => key !== undefined);
  return isTcpCall || isOther || step.halfclose === false;
}

function filesOf(word: string): string[] {
  const candidates = [
    join(HOME, word),
    join(HOME, `${word}.json`),
    ...FOLDERS.map((folder) => join(HOME, folder, `${word}.json`)),
    word,
  ];
  const found = candidates.find((path) => existsSync(path));
  if (found === undefined) throw new Error(`Cannot find the case "${word}": no folder and no case is called so`);
  if (!statSync(found).isDirectory()) return [found];
  return readdirSync(found)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(found, basename(name)));
}
