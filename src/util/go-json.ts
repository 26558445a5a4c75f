// JSON in the layout of Go's encoding/json, so that files and replies are those of the original to the byte.
//
// Go escapes `<`, `>`, `&` and the two Unicode line separators, indents by four spaces where it is asked to, writes struct fields in
// declaration order and map keys by their text. A JavaScript object puts keys that look like integers first, so what is
// a map in Go must be a `Map` here (a port map, for example).

/** What can be written: JSON's values, and maps whose keys are sorted by their text. */
export type GoValue =
  | null
  | boolean
  | number
  | string
  | readonly GoValue[]
  | ReadonlyMap<string, GoValue>
  | { readonly [key: string]: GoValue | undefined };

/** As json.Marshal: on one line, no spaces. */
export function goMarshal(value: GoValue): string {
  return write(value, undefined);
}

/** As json.MarshalIndent with four spaces. */
export function goMarshalIndent(value: GoValue): string {
  return write(value, '\n');
}

/** `newline` is the line break with the indentation of the enclosing value, or undefined for one line. */
function write(value: GoValue, newline: string | undefined): string {
  if (value === null || typeof value !== 'object') return escapeHtml(JSON.stringify(value));
  const inner = newline === undefined ? undefined : `${newline}    `;
  if (isArray(value)) {
    const items = value.map((item) => write(item, inner));
    return enclose('[', items, ']', newline, inner);
  }
  const entries = value instanceof Map ? [...(value as Map<string, GoValue>)].sort(byText) : Object.entries(value);
  const colon = newline === undefined ? ':' : ': ';
  const members = entries.flatMap(([key, member]: [string, GoValue | undefined]) =>
    member === undefined ? [] : [escapeHtml(JSON.stringify(key)) + colon + write(member, inner)],
  );
  return enclose('{', members, '}', newline, inner);
}

function enclose(open: string, items: string[], close: string, newline = '', inner = ''): string {
  return items.length === 0 ? open + close : open + inner + items.join(`,${inner}`) + newline + close;
}

function escapeHtml(json: string): string {
  return json.replace(/[<>&\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Go compares the bytes of UTF-8, JavaScript code units of UTF-16: they differ beyond the basic plane. */
function byText([a]: [string, GoValue], [b]: [string, GoValue]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

/** Array.isArray does not narrow readonly arrays out of a union. */
function isArray(value: object): value is readonly GoValue[] {
  return Array.isArray(value);
}

/**
 * A value from JSON.parse as it can be written again. JavaScript has moved keys that look like integers to the front;
 * such an object was a map in Go, whose keys are sorted by their text.
 */
export function fromParsed(value: unknown): GoValue {
  if (Array.isArray(value)) return value.map(fromParsed);
  if (value === null || typeof value !== 'object') return value as GoValue; // JSON.parse makes nothing else
  const entries = Object.entries(value).map(([key, member]: [string, unknown]) => [key, fromParsed(member)] as const);
  return entries.some(([key]) => /^\d+$/.test(key)) ? new Map(entries) : Object.fromEntries(entries);
}

/** As `fromParsed`, for the members of a struct: they stay in their order. */
export function membersFromParsed(members: Readonly<Record<string, unknown>>): Record<string, GoValue> {
  return Object.fromEntries(Object.entries(members).map(([key, value]) => [key, fromParsed(value)]));
}
