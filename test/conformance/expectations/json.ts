// `expect_json`: the recorded keys, with their values and in their order; more keys may stand between them. `json_layout` tells
// how the whole of it is written: on one line, or indented by four spaces.
//
// A text in a case is a template. Where it is a token alone, a number will do as well.

import type { Bindings } from '../bindings.js';
import { decode, encode } from '../bytes.js';
import { textMismatch, visible, type Mismatch } from '../mismatch.js';
import { parseOrdered, writeAsGo, type Json } from '../ordered-json.js';
import { matches } from '../pattern.js';

const NUMBER_TOKEN = /^\{\{(int|nonzero)\}\}$/;
const TOKEN_ALONE = /^\{\{[a-z]+(?::\w+)?\}\}$/;

/** Compares values, then the layout. */
export function judgeJson(expected: Json, layout: string, reply: Buffer, bindings: Bindings): Mismatch | undefined {
  const text = decode(reply);
  let got: Json;
  try {
    got = parseOrdered(text);
  } catch (error) {
    return { reason: `this is no JSON: ${String(error)}`, lines: [{ side: 'got', text }] };
  }
  const isIndented = layout === 'indented';
  const reason = difference(expected, got, bindings, '$');
  if (reason !== undefined) return textMismatch(reason, writeAsGo(expected, isIndented), reply, bindings);
  const exact = writeAsGo(got, isIndented);
  if (exact === text) return undefined;
  return textMismatch(
    `the JSON is not written as Go does it, ${layout}`,
    exact.replaceAll('{{', '{{lbrace}}'),
    reply,
    bindings,
  );
}

/** The first difference, told with the path to it. */
function difference(expected: Json, got: Json, bindings: Bindings, at: string): string | undefined {
  const differs = (): string => `${at} is ${show(got)}, not ${bindings.fillKnown(show(expected))}`;
  if (expected instanceof Map) {
    if (!(got instanceof Map)) return differs();
    const members = [...expected].map(([key, value]) => [bindings.fill(key), value] as const);
    const keys = members.map(([key]) => key);
    const order = [...got.keys()].filter((key) => keys.includes(key));
    if (order.join('\0') !== keys.join('\0')) return `${at} has the keys ${show([...got.keys()])}, not ${show(keys)}`;
    return first(members, ([key, value]) => difference(value, got.get(key) ?? null, bindings, `${at}.${key}`));
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length) return differs();
    return first([...expected.entries()], ([index, value]) =>
      difference(value, got[index] ?? null, bindings, `${at}[${index}]`),
    );
  }
  const isSame = typeof expected === 'string' ? isText(expected, got, bindings) : expected === got;
  return isSame ? undefined : differs();
}

function isText(template: string, got: Json, bindings: Bindings): boolean {
  const text = typeof got === 'number' && Number.isInteger(got) && TOKEN_ALONE.test(template) ? String(got) : got;
  if (typeof text !== 'string') return false;
  if (!NUMBER_TOKEN.test(template)) return matches(template, encode(text), bindings);
  return /^-?\d+$/.test(text) && (Number(text) !== 0 || template === '{{int}}');
}

function first<T>(items: readonly T[], find: (item: T) => string | undefined): string | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

function show(value: Json): string {
  return visible(writeAsGo(value, false)).slice(1, -1).replaceAll('\\"', '"');
}
