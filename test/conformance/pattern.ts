// What a reply must look like: templates and regular expressions put together, for the whole of it and byte for byte.
//
// A template is exact but for its tokens. Those that have a value are that value; of the rest some stand for anything of
// their kind, and others get their value here. A token that comes twice in one pattern must be the same both times.

import { linesOf, decode, encode } from './bytes.js';
import { TOKEN, type Bindings } from './bindings.js';

/** Tokens that match anew each time. What is meant by white space is ASCII's. */
const ANEW: Readonly<Record<string, string>> = {
  duration: '(?:Less than a second|\\d+ seconds|About a minute|\\d+ minutes|About an hour|\\d+ hours)',
  time: '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?(?:Z|[+-]\\d\\d:\\d\\d)',
  logtime: '\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d',
  int: '-?\\d+',
  nonzero: '-?[1-9]\\d*',
  any: '[^\\n]*?',
  text: '[^]*?',
};
/** Tokens that keep what they matched. */
const KEPT: Readonly<Record<string, string>> = {
  id: '[0-9a-f]{8}',
  hash: '[0-9a-f]{16}',
  root: '/[^ \\t\\n\\r\\f\\v":]*?',
  word: '[^ \\t\\n\\r\\f\\v]+?',
};
/** At the start of a line of a template: the line may be missing. */
const OPTIONAL_LINE = '{{?}}';

/** See the head of the file. */
export class Pattern {
  readonly #bindings: Bindings;
  /** token → the group that matches it */
  readonly #groups = new Map<string, string>();
  #source = '';

  constructor(bindings: Bindings) {
    this.#bindings = bindings;
  }

  /** Adds a template. */
  template(text: string): this {
    for (const line of linesOf(text)) {
      if (line.startsWith(OPTIONAL_LINE)) this.source('(?:').#tokens(line.slice(OPTIONAL_LINE.length)).source(')?');
      else this.#tokens(line);
    }
    return this;
  }

  /** Adds a part of a regular expression, of Latin-1 characters. */
  source(expression: string): this {
    this.#source += expression;
    return this;
  }

  /** The groups where these bytes are matched from the first to the last; the tokens then have their values. */
  match(bytes: Buffer): Map<string, string> | undefined {
    const found = new RegExp(`^(?:${this.#source})$`).exec(bytes.toString('latin1'));
    if (found === null) return undefined;
    const groups = new Map<string, string>();
    for (const [group, value] of Object.entries<string | undefined>(found.groups ?? {})) {
      // a group has no value where its line is missing
      if (value !== undefined) groups.set(group, decode(Buffer.from(value, 'latin1')));
    }
    for (const [token, group] of this.#groups) {
      const value = groups.get(group);
      if (value !== undefined) this.#bindings.set(token, value);
    }
    return groups;
  }

  #tokens(text: string): this {
    let at = 0;
    for (const { 0: braces, 1: kind = '', index } of text.matchAll(TOKEN)) {
      this.#source += literal(text.slice(at, index)) + this.#token(braces, kind);
      at = index + braces.length;
    }
    return this.source(literal(text.slice(at)));
  }

  #token(braces: string, kind: string): string {
    if (kind === 'lbrace') return literal('{{');
    const token = braces.slice(2, -2);
    const value = this.#bindings.get(token);
    if (value !== undefined) return literal(value);
    if (ANEW[kind] !== undefined) return ANEW[kind];
    if (KEPT[kind] === undefined) throw new Error(`Cannot match "${braces}": there is no such token`);
    const known = this.#groups.get(token);
    if (known !== undefined) return `\\k<${known}>`;
    const group = `token${this.#groups.size}`;
    this.#groups.set(token, group);
    return `(?<${group}>${KEPT[kind]})`;
  }
}

/** The source of an expression that matches exactly this text. */
export function literal(text: string): string {
  return encode(text)
    .toString('latin1')
    .replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
}

/** Whether the template matches the bytes; its tokens then have their values. */
export function matches(template: string, bytes: Buffer, bindings: Bindings): boolean {
  return new Pattern(bindings).template(template).match(bytes) !== undefined;
}
