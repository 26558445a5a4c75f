// Why a reply is not the recorded one, said so that one sees it: the lines that agree, and those that do not, in order.

import { decode, encode, linesOf } from './bytes.js';
import type { Bindings } from './bindings.js';
import { matches } from './pattern.js';

/** A line that both have, or one of them. */
export interface DiffLine {
  side: 'both' | 'expected' | 'got';
  text: string;
}

/** What is wrong, and where it is a text, how the two differ. */
export interface Mismatch {
  reason: string;
  lines?: DiffLine[];
}

/** More lines than these are compared one by one, not searched for where they moved. */
const LONGEST_SEARCH = 100;
const LONGEST_LINE = 160;
const AGREEING_AROUND = 2;
const MOST_LINES = 40;
const SIGNS = { both: ' ', expected: '-', got: '+' } as const;

/** The mismatch of a template and a reply. */
export function textMismatch(reason: string, template: string, reply: Buffer, bindings: Bindings): Mismatch {
  const expected = linesOf(template);
  const got = linesOf(decode(reply));
  const isSame = (want: string, line: string): boolean => {
    try {
      return matches(want, encode(line), bindings.copy());
    } catch {
      return false; // a token that nothing has bound: it is the reason, or told elsewhere
    }
  };
  const lines = align(expected, got, isSame);
  return { reason, lines: lines.map((line) => ({ ...line, text: bindings.fillKnown(line.text) })) };
}

/** The lines of a mismatch for a person: `-` is expected, `+` was got; of those that agree only the nearest. */
export function render({ lines = [] }: Mismatch): string[] {
  const isNear = lines.map((_, at) =>
    lines.slice(Math.max(0, at - AGREEING_AROUND), at + AGREEING_AROUND + 1).some(({ side }) => side !== 'both'),
  );
  const shown = lines.flatMap(({ side, text }, at) =>
    isNear[at] === true ? [`${SIGNS[side]} ${visible(text)}`] : isNear[at - 1] === true ? ['  ...'] : [],
  );
  const rest = shown.length - MOST_LINES;
  return rest > 0 ? [...shown.slice(0, MOST_LINES), `  ... and ${rest} lines more`] : shown;
}

/** A text on one line, with what cannot be seen escaped, cut where it is long. */
export function visible(text: string): string {
  const quoted = JSON.stringify(text);
  return quoted.length > LONGEST_LINE ? `${quoted.slice(0, LONGEST_LINE)}… (${text.length} characters)` : quoted;
}

/** The longest common sequence of lines, as the table of its lengths from each pair of places on. */
function align(expected: string[], got: string[], isSame: (want: string, line: string) => boolean): DiffLine[] {
  const isLong = expected.length > LONGEST_SEARCH || got.length > LONGEST_SEARCH;
  const lengths = Array.from({ length: expected.length + 1 }, () => new Array<number>(got.length + 1).fill(0));
  const length = (i: number, j: number): number => lengths[i]?.[j] ?? 0;
  if (!isLong) {
    for (let i = expected.length - 1; i >= 0; i--) {
      for (let j = got.length - 1; j >= 0; j--) {
        const row = lengths[i] ?? [];
        row[j] = isSame(expected[i] ?? '', got[j] ?? '')
          ? length(i + 1, j + 1) + 1
          : Math.max(length(i + 1, j), length(i, j + 1));
      }
    }
  }
  const lines: DiffLine[] = [];
  for (let i = 0, j = 0; i < expected.length || j < got.length;) {
    const [want, line] = [expected[i], got[j]];
    if (want !== undefined && line !== undefined && isSame(want, line)) {
      lines.push({ side: 'both', text: line });
      i++;
      j++;
    } else if (want !== undefined && (line === undefined || length(i + 1, j) >= length(i, j + 1))) {
      lines.push({ side: 'expected', text: want });
      i++;
      if (isLong && line !== undefined) lines.push({ side: 'got', text: got[j++] ?? '' });
    } else if (line !== undefined) {
      lines.push({ side: 'got', text: line });
      j++;
    }
  }
  return lines;
}
