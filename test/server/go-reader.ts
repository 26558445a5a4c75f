// Reads JSON as an original daemon would: as Go's encoding/json of 2013 puts it into a struct that is described here, and as
// strictly as the oldest Go did. What it throws says where.
//
// Beyond what Go demands it wants the layout that Go itself writes, so that a file of ours cannot be told from one of
// theirs but for the keys that they do not know.

/** What a member of a struct may hold. */
export type GoType =
  | 'string'
  | 'int'
  | 'bool'
  | 'time'
  | { readonly list: GoType }
  | { readonly map: GoType }
  | { readonly struct: Readonly<Record<string, GoType>> };

/** A number as it stands in the text. */
class GoNumber {
  constructor(readonly text: string) {}
}

/** The members of an object in the order of the text. */
class GoObject {
  constructor(readonly members: readonly (readonly [string, GoRead])[]) {}
}

type GoRead = null | boolean | string | GoNumber | GoObject | readonly GoRead[];

/** An RFC 3339 time, as time.Time.UnmarshalJSON takes it. */
const TIME =
  /^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$/;
const INT_LIMIT = 2n ** 63n;

/** Throws where Go would not read `text` as a value of that type, or would not have written it so. */
export function readAsGo(text: string, type: GoType): void {
  const raw = /[<>&\u2028\u2029]/.exec(text);
  if (raw !== null) throw new Error(`Go escapes ${JSON.stringify(raw[0])}`);
  const tokens = new Tokens(text);
  const value = tokens.value();
  tokens.end();
  check(value, type, '$');
}

/** Go's compact layout has no space between tokens, so none is skipped. */
class Tokens {
  #at = 0;

  constructor(readonly text: string) {}

  value(): GoRead {
    const word = this.#match(/null|true|false/y);
    if (word !== undefined) return word === 'null' ? null : word === 'true';
    const number = this.#match(/-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y);
    if (number !== undefined) return new GoNumber(number);
    if (this.text[this.#at] === '"') return this.#string();
    if (this.#take('[')) return this.#items(']', () => this.value());
    if (this.#take('{')) return new GoObject(this.#items('}', () => this.#member()));
    return this.#fail('a value');
  }

  end(): void {
    if (this.#at < this.text.length) this.#fail('the end');
  }

  #member(): readonly [string, GoRead] {
    const key = this.#string();
    if (!this.#take(':')) this.#fail('a colon');
    return [key, this.value()];
  }

  #items<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    if (this.#take(close)) return items;
    do items.push(item());
    while (this.#take(','));
    if (!this.#take(close)) this.#fail(close);
    return items;
  }

  #string(): string {
    const literal = this.#match(/"([^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"/y) ?? this.#fail('a string');
    return String(JSON.parse(literal));
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #fail(wanted: string): never {
    throw new Error(`Want ${wanted} at ${this.#at}: ${JSON.stringify(this.text.slice(this.#at, this.#at + 40))}`);
  }
}

function check(value: GoRead, type: GoType, at: string): void {
  if (typeof type === 'string') return checkPlain(value, type, at);
  if (value === null && !('struct' in type)) return; // a nil slice or map
  if ('list' in type) {
    if (!Array.isArray(value)) throw new Error(`Want a list for ${at}`);
    (value as readonly GoRead[]).forEach((item, i) => check(item, type.list, `${at}[${i}]`)); // isArray does not narrow it
    return;
  }
  if (!(value instanceof GoObject)) throw new Error(`Want an object for ${at}`);
  if ('map' in type) checkMap(value, type.map, at);
  else checkStruct(value, type.struct, at);
}

/** The oldest Go takes no null here. */
function checkPlain(value: GoRead, type: Extract<GoType, string>, at: string): void {
  const fits = {
    string: typeof value === 'string',
    bool: typeof value === 'boolean',
    time: typeof value === 'string' && TIME.test(value),
    int: value instanceof GoNumber && /^-?\d+$/.test(value.text) && inRange(BigInt(value.text)),
  };
  if (!fits[type]) throw new Error(`Want ${type} for ${at}`);
}

function inRange(number: bigint): boolean {
  return number >= -INT_LIMIT && number < INT_LIMIT;
}

function checkMap({ members }: GoObject, type: GoType, at: string): void {
  const keys = members.map(([key]) => Buffer.from(key));
  const isSorted = keys.every((key, i) => i === 0 || Buffer.compare(keys[i - 1] ?? key, key) < 0);
  if (!isSorted) throw new Error(`Want sorted keys, each once, in ${at}`);
  for (const [key, value] of members) check(value, type, `${at}.${key}`);
}

/** Go finds a member also by a key that differs in its capitals: there must be none. Other keys may stand between. */
function checkStruct({ members }: GoObject, struct: Readonly<Record<string, GoType>>, at: string): void {
  const wanted = Object.keys(struct);
  const found = members.filter(([key]) => wanted.some((name) => name.toLowerCase() === key.toLowerCase()));
  const names = found.map(([key]) => key);
  if (names.join() !== wanted.join()) throw new Error(`Want ${wanted.join()} in ${at}, not ${names.join()}`);
  for (const [key, value] of found) check(value, struct[key] ?? 'string', `${at}.${key}`);
}
