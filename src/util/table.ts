// Columns of text, laid out as Go's text/tabwriter does with spaces for padding.
//
// 2013: dockerd/dockerd.go, the tabwriter of CmdPs and CmdImages

/** How a table is laid out: a cell takes at least `minWidth` characters, and `padding` more than its text. */
export interface TableLayout {
  minWidth: number;
  padding: number;
}

/** What a cell shows, and how many characters that is. */
interface Cell {
  text: string;
  width: number;
}

/** Most cells: as many characters as UTF-16 units, and none to be escaped. */
const PLAIN = /^[\x20-\x7e]*$/;

/** The rows as text, a line each. The last cell of a row is not padded. Widths count characters, not bytes. */
export function formatTable(rows: readonly (readonly string[])[], { minWidth, padding }: TableLayout): string {
  const shown = rows.map((row) => row.map(toCell));
  const columns = shown.reduce((most, row) => Math.max(most, row.length), 0) - 1;
  const widths = Array.from({ length: Math.max(0, columns) }, (_, column) =>
    shown.reduce((widest, row) => Math.max(widest, (row[column]?.width ?? 0) + padding), minWidth),
  );
  return shown.map((row) => row.map((cell, i) => pad(cell, widths[i])).join('') + '\n').join('');
}

/** The first `maxBytes` bytes of `text`, shortened to whole characters. 2013: utils.go, Trunc */
export function truncateBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const bytes = Buffer.from(text.slice(0, maxBytes + 1)); // each of them is a byte at least
  let end = maxBytes;
  // DIFFERS D01: the original cut in the middle of a character; continuation bytes of UTF-8 are 10xxxxxx.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return bytes.toString('utf8', 0, end);
}

/** Control characters shown escaped. DIFFERS D02: a tab or a newline in a cell broke the table of the original. */
export function onOneLine(cell: string): string {
  return cell.replace(/[\x00-\x1f\x7f]/g, (char) => JSON.stringify(char).slice(1, -1).replace('\x7f', '\\u007f'));
}

function toCell(text: string): Cell {
  if (PLAIN.test(text)) return { text, width: text.length };
  const shown = onOneLine(text);
  return { text: shown, width: Array.from(shown).length };
}

function pad({ text, width }: Cell, columnWidth: number | undefined): string {
  return columnWidth === undefined ? text : text + ' '.repeat(columnWidth - width);
}
