// `expect_table`: rows of templates, laid out as Go's text/tabwriter does it: each column as wide as its widest cell and the
// padding, none below the minimum, the last one unpadded.
//
// Two questions: are the cells right, and are they where a tabwriter would put them. The second one is asked of the cells that
// were read, so a name longer than the recorded one moves the columns as it must.

import type { Bindings } from '../bindings.js';
import { decode, encode, linesOf } from '../bytes.js';
import { textMismatch, visible, type DiffLine, type Mismatch } from '../mismatch.js';
import { Pattern } from '../pattern.js';

export interface TableExpectation {
  rows: string[][];
  minwidth: number;
  padding: number;
  /** other rows may stand between these */
  others?: boolean;
  /** what stands before the table */
  prefix?: string;
}

/** Compares the reply with the table. */
export function judgeTable(table: TableExpectation, reply: Buffer, bindings: Bindings): Mismatch | undefined {
  const prefix = encode(bindings.fill(table.prefix ?? ''));
  const before = reply.subarray(0, prefix.length);
  if (!before.equals(prefix))
    return textMismatch('what stands before the table differs', decode(prefix), before, bindings);
  const rest = reply.subarray(prefix.length);
  const trial = bindings.copy();
  const read = table.others === true ? someRows(table.rows, rest, trial) : allRows(table.rows, rest, trial);
  if (!Array.isArray(read)) return read;
  const exact = layOut(read, table);
  if (!encode(exact).equals(rest)) {
    const reason = `the columns are not those of a tabwriter (${table.minwidth} wide or more, padding ${table.padding})`;
    return textMismatch(reason, exact.replaceAll('{{', '{{lbrace}}'), rest, bindings);
  }
  bindings.take(trial);
  return undefined;
}

/** The cells of each line, where the lines are just these rows. */
function allRows(rows: string[][], reply: Buffer, bindings: Bindings): string[][] | Mismatch {
  const lines = linesOf(decode(reply));
  const read = Array.from({ length: Math.max(rows.length, lines.length) }, (_, at) =>
    cellsOf(rows[at], lines[at], bindings),
  );
  const wrong = read.findIndex((cells) => cells === undefined);
  if (wrong < 0) return read.filter((cells) => cells !== undefined);
  const diff = read.flatMap((cells, at) => {
    const got: DiffLine[] =
      lines[at] === undefined ? [] : [{ side: cells === undefined ? 'got' : 'both', text: lines[at] }];
    return cells === undefined && rows[at] !== undefined ? [rowLine(rows[at], bindings), ...got] : got;
  });
  return { reason: `line ${wrong + 1} of the table differs`, lines: diff };
}

/** The cells of every line, where the rows come in this order with others between them. The heading says where columns begin. */
function someRows([heading = [], ...rows]: string[][], reply: Buffer, bindings: Bindings): string[][] | Mismatch {
  const lines = linesOf(decode(reply));
  if (cellsOf(heading, lines[0], bindings) === undefined) {
    return textMismatch('the heading of the table differs', `${heading.join('   ')}\n`, reply, bindings);
  }
  let end = 0;
  const starts = heading.map((cell) => {
    const start = (lines[0] ?? '').indexOf(cell, end);
    end = start + cell.length;
    return start;
  });
  const read = lines.map((line) =>
    starts.map((start, at) =>
      at === starts.length - 1 ? line.slice(start).replace(/\n$/, '') : line.slice(start, starts[at + 1]).trimEnd(),
    ),
  );
  const missing = [...rows];
  for (const cells of read.slice(1))
    if (missing[0] !== undefined && isRow(missing[0], cells, bindings)) missing.shift();
  if (missing[0] === undefined) return read;
  const got = lines.map((text): DiffLine => ({ side: 'got', text }));
  return {
    reason: `no row ${visible(missing[0].join(' | '))} where it belongs`,
    lines: [rowLine(missing[0], bindings), ...got],
  };
}

/** The cells of one line, with the tokens of the row bound. */
function cellsOf(row: string[] | undefined, line: string | undefined, bindings: Bindings): string[] | undefined {
  if (row === undefined || line === undefined) return undefined;
  const pattern = new Pattern(bindings);
  for (const [at, cell] of row.entries()) {
    pattern
      .source(at === 0 ? '' : ' +')
      .source(`(?<cell${at}>`)
      .template(cell)
      .source(')');
  }
  const groups = pattern.source('\\n').match(encode(line));
  return groups && row.map((_, at) => groups.get(`cell${at}`) ?? '');
}

function isRow(row: string[], cells: string[], bindings: Bindings): boolean {
  const trial = bindings.copy();
  const isSame = row.every(
    (cell, at) => new Pattern(trial).template(cell).match(encode(cells[at] ?? '')) !== undefined,
  );
  if (isSame) bindings.take(trial);
  return isSame;
}

/** What a tabwriter makes of these cells. */
function layOut(rows: string[][], { minwidth, padding }: TableExpectation): string {
  const widths = (rows[0] ?? []).map((_, at) =>
    Math.max(minwidth, ...rows.map((row) => Array.from(row[at] ?? '').length + padding)),
  );
  const pad = (cell: string, at: number): string => cell + ' '.repeat((widths[at] ?? 0) - Array.from(cell).length);
  return rows
    .map((row) => `${row.map((cell, at) => (at === row.length - 1 ? cell : pad(cell, at))).join('')}\n`)
    .join('');
}

function rowLine(row: string[], bindings: Bindings): DiffLine {
  return { side: 'expected', text: bindings.fillKnown(row.join(' | ')) };
}
