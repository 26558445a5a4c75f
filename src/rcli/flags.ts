// Flags as Go's `flag` package parses them: `-a` and `--a` are the same, `-a=false`, `-c x` and `-c=x`, `--` ends them,
// so does the first argument that is no flag, and `-notrunc` is one flag, not seven.
//
// What is Go's own (where flags end, what is an error and in which words) is decided here, argument by argument; the
// rest is brought to the one form `--name=value` and left to minimist.
//
// 2013: package flag, FlagSet.parseOne

import minimist from 'minimist';
import { errorMessage } from '../util/errors.js';

/** What a flag may hold: a list of texts where it may be given more than once. */
export type FlagValue = boolean | string | number | readonly string[];

/** How a flag is declared, as far as parsing goes. */
export interface DeclaredFlag {
  /** its value where it is not given */
  readonly value: FlagValue;
  /** throws for a text that means nothing to it */
  readonly check?: (text: string) => unknown;
}

/** A flag that cannot be parsed; the message is Go's. */
export class FlagError extends Error {}

/** The message of the FlagError for `-h`, `-help` and `--help`. */
export const HELP_REQUESTED = 'flag: help requested';

/** What strconv.ParseBool takes. */
const BOOLEANS = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** The values of `declared` flags in `args`, and the arguments after them. Throws FlagError. */
export function parseFlags(
  declared: Readonly<Record<string, DeclaredFlag>>,
  args: readonly string[],
): { flags: Record<string, FlagValue>; args: string[] } {
  const canonical: string[] = [];
  let next = 0;
  for (let arg = args[next]; arg !== undefined && arg.length > 1 && arg.startsWith('-'); arg = args[next]) {
    next++;
    if (arg === '--') break;
    const [name, given] = splitFlag(arg);
    const flag = Object.hasOwn(declared, name) ? declared[name] : undefined;
    if (flag === undefined) {
      if (name === 'help' || name === 'h') throw new FlagError(HELP_REQUESTED);
      throw new FlagError(`flag provided but not defined: -${name}`);
    }
    const takesNext = typeof flag.value !== 'boolean' && given === undefined;
    const value = takesNext ? args[next++] : (given ?? 'true');
    if (value === undefined) throw new FlagError(`flag needs an argument: -${name}`);
    checkValue(name, flag, value);
    canonical.push(`--${name}=${value}`);
  }
  const flags = canonical.length === 0 ? standardValues(declared) : readValues(declared, canonical);
  return { flags, args: args.slice(next) };
}

/** Most calls have no flag, and there is nothing to read in them. */
function standardValues(declared: Readonly<Record<string, DeclaredFlag>>): Record<string, FlagValue> {
  return Object.fromEntries(Object.entries(declared).map(([name, { value }]) => [name, value]));
}

/** `--name=value` as [name, value]; the value is undefined where there is no `=`. */
function splitFlag(arg: string): [string, string | undefined] {
  const body = arg.replace(/^--?/, '');
  if (body === '' || body.startsWith('-') || body.startsWith('=')) throw new FlagError(`bad flag syntax: ${arg}`);
  const equals = body.indexOf('=');
  return equals < 0 ? [body, undefined] : [body.slice(0, equals), body.slice(equals + 1)];
}

function checkValue(name: string, { value: type, check }: DeclaredFlag, value: string): void {
  const invalid = `invalid value ${JSON.stringify(value)} for flag -${name}`;
  if (typeof type === 'boolean' && !BOOLEANS.has(value)) {
    throw new FlagError(`invalid boolean value ${JSON.stringify(value)} for -${name}: parse error`);
  }
  if (typeof type === 'number') {
    const number = parseInteger(value);
    const problem = number === undefined ? 'parse error' : Number.isSafeInteger(number) ? '' : 'value out of range';
    if (problem !== '') throw new FlagError(`${invalid}: ${problem}`);
  }
  try {
    check?.(value);
  } catch (error) {
    throw new FlagError(`${invalid}: ${errorMessage(error)}`, { cause: error });
  }
}

/** As strconv.ParseInt with base 0: decimal, 0x…, 0b…, and octal as 0o… or with a leading zero. */
function parseInteger(text: string): number | undefined {
  const [, sign, digits = ''] = /^([+-]?)(\d.*)$/s.exec(text) ?? [];
  const literal = digits.replace(/^0(?=\d)/, '0o');
  if (!/^(\d+|0x[\da-f]+|0o[0-7]+|0b[01]+)$/i.test(literal)) return undefined;
  return sign === '-' ? -Number(literal) : Number(literal);
}

/**
 * Every flag is read as text, so that minimist neither guesses numbers nor swallows values; the last one given counts, but
 * for a list.
 */
function readValues(declared: Readonly<Record<string, DeclaredFlag>>, canonical: string[]): Record<string, FlagValue> {
  // Most calls of the client give none, and it starts a little sooner so.
  const isNone = canonical.length === 0;
  const parsed: Record<string, unknown> = isNone ? {} : minimist(canonical, { string: Object.keys(declared) });
  const valueOf = (name: string, standard: FlagValue): FlagValue => {
    const texts = [parsed[name]].flat().filter((text) => typeof text === 'string');
    if (typeof standard === 'object') return texts;
    const text = texts.at(-1);
    if (text === undefined) return standard;
    if (typeof standard === 'boolean') return BOOLEANS.get(text) ?? standard;
    return typeof standard === 'number' ? (parseInteger(text) ?? standard) : text;
  };
  return Object.fromEntries(Object.entries(declared).map(([name, { value }]) => [name, valueOf(name, value)]));
}
