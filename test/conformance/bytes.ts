// Cases are text, replies are bytes. A byte that is no part of valid UTF-8 stands in a case as a lone surrogate, \udc80 to
// \udcff, so that every reply can be written down. Patterns look at bytes, one character each (`latin1`).

/** Everything above ASCII: the well-formed sequences, and else one byte. */
const ABOVE_ASCII = new RegExp(
  [
    '[\xc2-\xdf][\x80-\xbf]',
    '\xe0[\xa0-\xbf][\x80-\xbf]',
    '\xed[\x80-\x9f][\x80-\xbf]',
    '[\xe1-\xec\xee\xef][\x80-\xbf]{2}',
    '\xf0[\x90-\xbf][\x80-\xbf]{2}',
    '[\xf1-\xf3][\x80-\xbf]{3}',
    '\xf4[\x80-\x8f][\x80-\xbf]{2}',
    '[\x80-\xff]',
  ].join('|'),
  'g',
);
/** With `u`, half of a pair is no match. */
const LONE_SURROGATE = /([\udc80-\udcff])/u;

/** The bytes of a text of a case. */
export function encode(text: string): Buffer {
  const parts = text.split(LONE_SURROGATE);
  // split() with a group puts what separates at the odd places
  return Buffer.concat(
    parts.map((part, at) => (at % 2 === 0 ? Buffer.from(part) : Buffer.of(part.charCodeAt(0) & 0xff))),
  );
}

/** The text of bytes, as a case would have it. */
export function decode(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(ABOVE_ASCII, (sequence) =>
      sequence.length > 1
        ? Buffer.from(sequence, 'latin1').toString()
        : String.fromCharCode(0xdc00 + sequence.charCodeAt(0)),
    );
}

/** The lines of a text, each with its newline; the last one may have none. */
export function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+/g) ?? [];
}
