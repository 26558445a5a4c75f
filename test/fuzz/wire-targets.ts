// Fuzz targets: the call line, frames, flags and the words of an HTTP call, each against what it promises, and flags against
// a second reading of Go's rules that shares no code with ours.

import assert from 'node:assert/strict';
import { MAX_WORDS, parseCallLine, toWindow } from '../../src/rcli/call-line.js';
import { FlagError, parseFlags, type DeclaredFlag, type FlagValue } from '../../src/rcli/flags.js';
import { encodeFrame, FrameDecoder, FrameType, MAX_FRAME_BYTES, type Frame } from '../../src/rcli/frames.js';
import { urlToCall } from '../../src/rcli/http.js';
import { COMMANDS } from '../../src/server/server.js';
import { mayFail, type Target } from './fuzz.js';
import { nested, type Random } from './random.js';

const LINES = [
  '["run","-i","base","sh","-c","echo \\u00e9"]',
  '{"frames":1,"args":["run","-i","base","cat"],"tty":{"rows":24,"cols":80,"term":"xterm"}}',
  'null',
  '[]',
  '[null]',
];

const callLine: Target = {
  name: 'call-line',
  run(random) {
    const line = randomLine(random);
    const error = mayFail(Error, () => {
      const { words, terminal } = parseCallLine(line);
      assert.ok(words.length <= MAX_WORDS && words.every((word) => typeof word === 'string'));
      // What is no text in UTF-8 would be one name in memory and another one on disk.
      for (const word of words) assert.equal(Buffer.from(word).toString(), word);
      if (terminal !== undefined) checkWindow(terminal);
    });
    if (error !== undefined) assert.match(error.message, /^Invalid call line: /);
    checkWindow(toWindow(random.json()));
  },
};

/** A call line, or nearly one. */
export function randomLine(random: Random): string {
  if (random.once(3)) return random.mutate(Buffer.from(random.pick(LINES))).toString();
  const value = random.once(50) ? nested(random.pick([10, 1000, 100_000])) : JSON.stringify(random.json());
  return random.pick([
    value,
    `["ps",${value}]`,
    `{"frames":${value},"args":[]}`,
    `{"frames":1,"args":["ps"],"tty":${value}}`,
  ]);
}

function checkWindow({ rows, cols }: { rows: number; cols: number }): void {
  for (const size of [rows, cols]) assert.ok(Number.isInteger(size) && size > 0 && size < 65_536);
}

const frames: Target = {
  name: 'frames',
  run(random) {
    const whole = random.list(6, () => encodeFrame(random.below(8), random.bytes(40)));
    const header = Buffer.alloc(8);
    header.writeUInt32LE(random.pick([0, 1, 4, 5, 6, 7, 256, random.below(2 ** 32)]));
    header.writeUInt32BE(random.pick([MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1, 2 ** 31, 2 ** 32 - 1, 0]), 4);
    const bytes = Buffer.concat([...whole, ...(random.once(2) ? [header] : [])]);
    const input = random.once(2) ? random.mutate(bytes) : bytes;
    const inOne = decode([input]);
    const isHuge = bytes.length > 0 && bytes.subarray(-8).equals(header) && header.readUInt32BE(4) > MAX_FRAME_BYTES;
    if (isHuge && input === bytes) assert.notEqual(inOne.error, undefined, 'a frame that is too large is waited for');
    assert.deepEqual(decode(random.split(input)), inOne, 'the frames depend on how the bytes arrive');
    if (inOne.error === undefined && !inOne.isInside) {
      const again = Buffer.concat(inOne.frames.map(({ type, payload }) => encodeFrame(type, payload)));
      assert.deepEqual(again, input, 'frames that are written are not what was read');
    }
    for (const { type, payload } of inOne.frames)
      assert.ok(type <= FrameType.hello && payload.length <= MAX_FRAME_BYTES);
  },
};

function decode(pieces: readonly Buffer[]): { frames: Frame[]; error: string | undefined; isInside: boolean } {
  const decoder = new FrameDecoder();
  const found: Frame[] = [];
  const error = mayFail(Error, () => {
    for (const piece of pieces) {
      for (const { type, payload } of decoder.push(piece)) found.push({ type, payload: Buffer.from(payload) });
    }
  });
  return { frames: found, error: error?.message, isInside: error === undefined && decoder.isInsideFrame };
}

const flags: Target = {
  name: 'flags',
  run(random) {
    const { flags: declared } = random.pick(COMMANDS);
    const args = random.list(6, () => randomFlag(random, Object.keys(declared)));
    const expected = goFlags(declared, args);
    let parsed: { flags: Record<string, FlagValue>; args: string[] } | undefined;
    const error = mayFail(FlagError, () => (parsed = parseFlags(declared, args)));
    assert.equal(
      error !== undefined,
      expected === undefined,
      `flags of ${JSON.stringify(args)}: ${error?.message ?? 'ok'}`,
    );
    if (expected !== undefined) assert.deepEqual(parsed, expected, JSON.stringify(args));
  },
};

/** A flag of the command, one of no command, or what only looks like one. */
export function randomFlag(random: Random, names: readonly string[]): string {
  if (random.once(5) || names.length === 0) return random.text(3);
  const name = random.once(8) ? random.text(1) : random.pick(names);
  const value = random.pick(['', '=', '=true', '=0', '=1', '=x', '=-1', `=${random.text(2)}`, `=${random.edge()}`]);
  return `${random.pick(['-', '-', '--', '---', ''])}${name}${value}`;
}

/** What Go's package flag makes of `args`; undefined where it finds an error. Written from its documentation. */
function goFlags(
  declared: Readonly<Record<string, DeclaredFlag>>,
  args: readonly string[],
): { flags: Record<string, FlagValue>; args: string[] } | undefined {
  const values = Object.fromEntries(Object.entries(declared).map(([name, { value }]) => [name, value]));
  const rest = [...args];
  for (;;) {
    const [arg] = rest;
    if (arg === undefined || arg === '-' || !arg.startsWith('-')) return { flags: values, args: rest };
    rest.shift();
    if (arg === '--') return { flags: values, args: rest };
    const [, name = '', hasValue, given = ''] = /^--?([^-=][^=]*)(=)?([^]*)$/.exec(arg) ?? [];
    const flag = Object.hasOwn(declared, name) ? declared[name] : undefined;
    if (flag === undefined) return undefined;
    const isBoolean = typeof flag.value === 'boolean';
    const text = hasValue !== undefined ? given : isBoolean ? 'true' : rest.shift();
    if (text === undefined) return undefined;
    const value = goValue(flag, text, values[name]);
    if (value === undefined) return undefined;
    values[name] = value;
  }
}

function goValue({ value, check }: DeclaredFlag, text: string, before: FlagValue | undefined): FlagValue | undefined {
  if (typeof value === 'boolean') {
    if (/^(1|t|T|TRUE|true|True)$/.test(text) && !text.endsWith('\n')) return true;
    return /^(0|f|F|FALSE|false|False)$/.test(text) && !text.endsWith('\n') ? false : undefined;
  }
  if (typeof value === 'number') {
    // Beyond 2^53 a number of JavaScript is not exact, and is refused, where Go goes on to 2^63.
    const [, sign, digits = ''] = /^([+-]?)((?:0[xX][\da-fA-F]+|0[oO]?[0-7]+|0[bB][01]+|0|[1-9]\d*))$/.exec(text) ?? [];
    if (digits === '' || text.endsWith('\n')) return undefined;
    const number = Number(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
    return Number.isSafeInteger(number) ? (sign === '-' ? -number : number) : undefined;
  }
  try {
    check?.(text);
  } catch {
    return undefined; // what it checks, its own tests say
  }
  return typeof value === 'object' ? [...((before as string[] | undefined) ?? []), text] : text; // a list grows
}

const httpWords: Target = {
  name: 'http-words',
  run(random) {
    const words = ['ps', ...random.list(4, () => random.text())].map((word) => Buffer.from(word).toString());
    const [command = '', ...args] = words;
    const space = random.pick(['%20', '+']);
    const query = args.map((arg) => `q=${encodeURIComponent(arg).replaceAll('%20', space)}`).join('&');
    const target = `${random.pick(['', '/a', 'http://localhost:8080', '/%2e'])}/${command}?${query}`;
    assert.deepEqual(urlToCall(target), words);
    const mutated = urlToCall(random.mutate(Buffer.from(target)).toString());
    assert.ok(mutated.length > 0 && mutated[0] !== '');
  },
};

/** See the head of the file. */
export const WIRE_TARGETS: readonly Target[] = [callLine, frames, flags, httpWords];
