// JSON whose objects keep the order of their keys. JavaScript's own put keys that look like numbers first, in their order as
// numbers; Go writes maps by the text of their keys, so that `"80"` stands before `"9"`, and a case must be able to tell.

export type Json = null | boolean | number | string | Json[] | Map<string, Json>;

/** One token: a string, a number, a word or a mark. What is read here is known to be JSON. */
const TOKEN = /"(?:[^"\\]|\\.)*"|[\w.+-]+|[{}[\],:]/g;

/** Reads JSON. Throws a `SyntaxError` where it is none. */
export function parseOrdered(text: string): Json {
  JSON.parse(text); // says what is wrong, so that nothing below has to
  const tokens = text.match(TOKEN) ?? [];
  return readValue(tokens.reverse());
}

/** Writes JSON as Go's json.Marshal does, or as its json.Indent with four spaces. */
export function writeAsGo(value: Json, isIndented: boolean, margin = '\n'): string {
  const inner = isIndented ? `${margin}    ` : '';
  const around = (open: string, items: string[], close: string): string =>
    items.length === 0 ? open + close : `${open}${inner}${items.join(`,${inner}`)}${isIndented ? margin : ''}${close}`;
  if (Array.isArray(value)) {
    const items = value.map((item) => writeAsGo(item, isIndented, inner));
    return around('[', items, ']');
  }
  if (!(value instanceof Map)) return writeScalar(value);
  const colon = isIndented ? ': ' : ':';
  const items = [...value].map(([key, item]) => writeScalar(key) + colon + writeAsGo(item, isIndented, inner));
  return around('{', items, '}');
}

/** Takes one value off the tokens, of which the next one is the last. */
function readValue(tokens: string[]): Json {
  const token = tokens.pop() ?? '';
  if (token === '[') {
    const items: Json[] = [];
    while (!isEnd(tokens, ']')) items.push(readValue(tokens));
    return items;
  }
  if (token === '{') {
    const members = new Map<string, Json>();
    while (!isEnd(tokens, '}')) {
      const key = JSON.parse(tokens.pop() ?? '') as string; // as JSON has it
      tokens.pop(); // the colon
      members.set(key, readValue(tokens));
    }
    return members;
  }
  return JSON.parse(token) as null | boolean | number | string; // neither a list nor an object begins with this token
}

/** Takes the mark off that stands before the next item or behind the last one, and tells whether that was the end. */
function isEnd(tokens: string[], close: string): boolean {
  if (tokens.at(-1) === ',') tokens.pop();
  if (tokens.at(-1) !== close) return false;
  tokens.pop();
  return true;
}

/** Go escapes what could be taken for a tag, and two line ends of Unicode. */
function writeScalar(value: null | boolean | number | string): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
