// Columns of text, laid out as Go's text/tabwriter does with spaces for padding.
//
// 2013: dockerd/dockerd.go, the tabwriter of CmdPs and CmdImages

/** How a table is laid out: a cell takes at least `minWidth` characters, and `padding` more than its text. */
export interface TableLayout {
  minWidth: number;
  padding: number;
}

/** The rows as text, a line each. The last cell of a row is not padded. Widths count characters, not bytes. */
export function formatTable(rows: readonly (readonly string[])[], { minWidth, padding }: TableLayout): string {
  const shown = rows.map((row) => row.map(onOneLine));
  const columns = Math.max(0, ...shown.map((row) => row.length)) - 1;
  const widths = Array.from({ length: columns }, (_, column) =>
    shown.reduce((widest, row) => Math.max(widest, width(row[column] ?? '') + padding), minWidth),
  );
  return shown.map((row) => row.map((cell, i) => pad(cell, widths[i])).join('') + '\n').join('');
}

/** The first `maxBytes` bytes of `text`, shortened to whole characters. 2013: utils.go, Trunc */
export function truncateBytes(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  // DIFFERS D01: the original cut in the middle of a character; continuation bytes of UTF-8 are 10xxxxxx.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** Control characters shown escaped. DIFFERS D02: a tab or a newline in a cell broke the table of the original. */
export function onOneLine(cell: string): string {
  return cell.replace(/[\x00-\x1f\x7f]/g, (char) => JSON.stringify(char).slice(1, -1).replace('\x7f', '\\u007f'));
}

function width(text: string): number {
  return Array.from(text).length;
}

function pad(cell: string, columnWidth: number | undefined): string {
  return columnWidth === undefined ? cell : cell + ' '.repeat(columnWidth - width(cell));
}
