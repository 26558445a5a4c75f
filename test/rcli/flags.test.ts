// Flags, rule by rule as Go's `flag` package has them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { FlagError, HELP_REQUESTED, parseFlags, type FlagValue } from '../../src/rcli/flags.js';

const DECLARED = { a: { value: false }, notrunc: { value: true }, c: { value: 'standard' }, n: { value: 7 } };
const DEFAULTS = { a: false, notrunc: true, c: 'standard', n: 7 };

/** What `args` parse to: the values that are not the defaults, and the arguments after the flags. */
function parse(...args: string[]): { changed: Record<string, FlagValue>; rest: string[] } {
  const { flags, args: rest } = parseFlags(DECLARED, args);
  const changed = Object.entries(flags).filter(([name, value]) => Reflect.get(DEFAULTS, name) !== value);
  assert.deepEqual(Object.keys(flags), Object.keys(DECLARED));
  return { changed: Object.fromEntries(changed), rest };
}

function failure(...args: string[]): string {
  try {
    parseFlags(DECLARED, args);
  } catch (error) {
    assert.ok(error instanceof FlagError);
    return error.message;
  }
  return 'no error';
}

test('parseFlags() gives every declared flag its default where nothing is given', () => {
  const { flags, args } = parseFlags(DECLARED, []);
  assert.deepEqual(flags, DEFAULTS);
  assert.deepEqual(args, []);
});

test('parseFlags() takes one dash and two dashes as the same', () => {
  assert.deepEqual(parse('-a'), { changed: { a: true }, rest: [] });
  assert.deepEqual(parse('--a'), { changed: { a: true }, rest: [] });
  assert.deepEqual(parse('--c=x'), parse('-c=x'));
});

test('parseFlags() reads a word after one dash as one flag, not as letters', () => {
  assert.deepEqual(parse('-notrunc=false'), { changed: { notrunc: false }, rest: [] });
  assert.equal(failure('-an'), 'flag provided but not defined: -an');
  assert.equal(failure('-notru'), 'flag provided but not defined: -notru');
});

test('parseFlags() takes the booleans of strconv.ParseBool and no others', () => {
  for (const text of ['1', 't', 'T', 'TRUE', 'true', 'True'])
    assert.deepEqual(parse(`-a=${text}`).changed, { a: true });
  for (const text of ['0', 'f', 'F', 'FALSE', 'false', 'False'])
    assert.deepEqual(parse(`-notrunc=${text}`).changed, { notrunc: false });
  for (const text of ['', 'yes', 'on', 'tRUE', 'truE', ' true', '2', '-1'])
    assert.equal(failure(`-a=${text}`), `invalid boolean value ${JSON.stringify(text)} for -a: parse error`);
});

test('parseFlags() does not take the next word as the value of a boolean', () => {
  assert.deepEqual(parse('-a', 'false'), { changed: { a: true }, rest: ['false'] });
});

test('parseFlags() takes the value of a text flag from the next word or after the equals sign', () => {
  assert.deepEqual(parse('-c', 'x'), { changed: { c: 'x' }, rest: [] });
  assert.deepEqual(parse('-c=x', 'y'), { changed: { c: 'x' }, rest: ['y'] });
  assert.deepEqual(parse('-c=a=b'), { changed: { c: 'a=b' }, rest: [] });
});

test('parseFlags() takes an empty value as a value', () => {
  assert.deepEqual(parse('-c=', 'y'), { changed: { c: '' }, rest: ['y'] });
  assert.deepEqual(parse('-c', '', 'y'), { changed: { c: '' }, rest: ['y'] });
});

test('parseFlags() takes whatever follows a text flag as its value, also what looks like a flag', () => {
  assert.deepEqual(parse('-c', '-a'), { changed: { c: '-a' }, rest: [] });
  assert.deepEqual(parse('-c', '--', '-a'), { changed: { c: '--', a: true }, rest: [] });
  assert.deepEqual(parse('-c', '--help'), { changed: { c: '--help' }, rest: [] });
});

test('parseFlags() keeps text as it is, whatever it looks like', () => {
  for (const text of ['12', '1e3', 'true', 'false', '0x1F', 'a\nb', ' ', 'é€😀', '__proto__', '[object Object]'])
    assert.equal(parse('-c', text).changed['c'], text);
});

test('parseFlags() ends at the first word that is no flag', () => {
  assert.deepEqual(parse('-a', 'base', '-c', 'x'), { changed: { a: true }, rest: ['base', '-c', 'x'] });
  assert.deepEqual(parse('', '-a'), { changed: {}, rest: ['', '-a'] });
});

test('parseFlags() takes a single dash as a word', () => {
  assert.deepEqual(parse('-', '-a'), { changed: {}, rest: ['-', '-a'] });
});

test('parseFlags() ends at two dashes and drops them, the first time only', () => {
  assert.deepEqual(parse('--', '-a'), { changed: {}, rest: ['-a'] });
  assert.deepEqual(parse('-a', '--', '--', 'x'), { changed: { a: true }, rest: ['--', 'x'] });
  assert.deepEqual(parse('x', '--', 'y'), { changed: {}, rest: ['x', '--', 'y'] });
});

test('parseFlags() lets the last of several count', () => {
  assert.deepEqual(parse('-c', 'x', '-c=y', '--c', 'z').changed, { c: 'z' });
  assert.deepEqual(parse('-a', '-a=false').changed, {});
  assert.deepEqual(parse('-n=1', '-n=2', '-n', '3').changed, { n: 3 });
});

test('parseFlags() gathers what a list is given, in order', () => {
  const declared = { p: { value: [] }, a: { value: false } };
  assert.deepEqual(parseFlags(declared, ['-p', '80', '-a', '--p=-1', '-p', 'x', 'base', '-p', 'y']), {
    flags: { p: ['80', '-1', 'x'], a: true },
    args: ['base', '-p', 'y'],
  });
  assert.deepEqual(parseFlags(declared, []).flags, { p: [], a: false });
});

test('parseFlags() refuses what the check of a flag throws for, with its reason', () => {
  const check = (text: string): void => {
    if (text !== 'good') throw new Error(`Not good: ${text}`);
  };
  const declared = { p: { value: [], check }, s: { value: '', check } };
  assert.deepEqual(parseFlags(declared, ['-p', 'good', '-s=good']).flags, { p: ['good'], s: 'good' });
  for (const name of ['p', 's']) {
    assert.throws(() => parseFlags(declared, [`-${name}`, 'b"d']), {
      message: `invalid value "b\\"d" for flag -${name}: Not good: b"d`,
    });
  }
});

test('parseFlags() refuses a flag without its value', () => {
  assert.equal(failure('-c'), 'flag needs an argument: -c');
  assert.equal(failure('--n'), 'flag needs an argument: -n');
  assert.equal(failure('-a', '-c'), 'flag needs an argument: -c');
});

test('parseFlags() refuses what is not declared, by its name without the value', () => {
  assert.equal(failure('--bogus=v'), 'flag provided but not defined: -bogus');
  assert.equal(failure('-A'), 'flag provided but not defined: -A');
  assert.equal(failure('-9'), 'flag provided but not defined: -9');
  assert.equal(failure('-über'), 'flag provided but not defined: -über');
  assert.equal(failure('- '), 'flag provided but not defined: - ');
  assert.equal(failure('-a b'), 'flag provided but not defined: -a b');
});

test('parseFlags() refuses what is no flag syntax, word for word', () => {
  for (const arg of ['---x', '-=x', '--=x', '---', '-=', '--=', '----'])
    assert.equal(failure(arg, 'y'), `bad flag syntax: ${arg}`);
});

test('parseFlags() takes no name from the prototype of an object for a flag', () => {
  for (const name of ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf']) {
    assert.equal(failure(`-${name}`), `flag provided but not defined: -${name}`);
    assert.equal(failure(`--${name}=x`), `flag provided but not defined: -${name}`);
    assert.equal(failure(`--${name}.polluted=x`), `flag provided but not defined: -${name}.polluted`);
  }
  assert.equal(Reflect.get({}, 'polluted'), undefined);
});

test('parseFlags() asks for help at -h and -help unless they are declared', () => {
  for (const arg of ['-h', '--h', '-help', '--help', '-help=x', '-h=false']) assert.equal(failure(arg), HELP_REQUESTED);
  assert.equal(failure('-Help'), 'flag provided but not defined: -Help');
  assert.deepEqual(parseFlags({ h: { value: '' } }, ['-h', 'x']).flags, { h: 'x' });
});

test('parseFlags() lets the first mistake count', () => {
  assert.equal(failure('-x', '---', '--help'), 'flag provided but not defined: -x');
  assert.equal(failure('--help', '-x'), HELP_REQUESTED);
});

test('parseFlags() takes whole decimal numbers with a sign', () => {
  for (const [text, value] of Object.entries({ '0': 0, '12': 12, '-3': -3, '+4': 4 }))
    assert.deepEqual(parse('-n', text).changed, { n: value });
});

test('parseFlags() refuses what is no whole number', () => {
  for (const text of ['', 'x', '1.5', '1e3', ' 1', '1 ', '-', '0x', '--'])
    assert.equal(failure(`-n=${text}`), `invalid value ${JSON.stringify(text)} for flag -n: parse error`);
});

test('parseFlags() takes the bases of strconv.ParseInt with base 0', () => {
  for (const [text, value] of Object.entries({ '0x10': 16, '-0XfF': -255, '010': 8, '0o17': 15, '0b101': 5 }))
    assert.deepEqual(parse('-n', text).changed, { n: value });
  assert.equal(failure('-n=08'), 'invalid value "08" for flag -n: parse error');
});

test('parseFlags() says of a number beyond 64 bits that it is out of range', () => {
  assert.equal(
    failure('-n=99999999999999999999'),
    'invalid value "99999999999999999999" for flag -n: value out of range',
  );
});

test('parseFlags() leaves the arguments that it is given alone', () => {
  const args = Object.freeze(['-a', '-c', 'x', 'y']);
  assert.deepEqual(parseFlags(DECLARED, args).args, ['y']);
});
