// What the benchmark says: rows and curves as text, as Markdown, and the page that shows both. Nothing here measures.

import type { Curve } from './curve.js';
import { growthOf } from './fit.js';
import { escaped, formatted } from './format.js';
import { verdictsOf, type Measured, type Verdict } from './measure.js';
import { svg } from './svg.js';

/** All that a run of the benchmark found. */
export interface Report {
  /** when, and on what machine, in a line or two */
  machine: string;
  /** with what: program and version */
  versions: readonly string[];
  /** what there was not to compare with, and why */
  absent: readonly string[];
  rows: readonly (Measured & { topic: string })[];
  curves: readonly Curve[];
}

/** One row as it is printed when it is there. */
export function rowAsText(row: Measured): string {
  const beside = besideText(row);
  const figures = `${formatted(row.ours, row.unit)}${beside === '' ? '' : `; ${beside}`}`;
  return [row.what, figures, ...verdictsOf(row).map(verdictText), ...(row.note === undefined ? [] : [row.note])].join(
    '\n    ',
  );
}

/** A table of all rows, what is missing, and how the curves grow. */
export function asMarkdown({ machine, versions, absent, rows, curves }: Report): string {
  const lines = rows.map((row) => {
    const verdicts = verdictsOf(row).map(verdictText).join('; ');
    const what = row.note === undefined ? row.what : `${row.what} (${row.note})`;
    return line([what, formatted(row.ours, row.unit), besideText(row), verdicts]);
  });
  const growth = curves.flatMap((curve) =>
    curve.series.map(({ name, points }) => {
      const first = points[0];
      const last = points.at(-1);
      if (first === undefined || last === undefined) return '';
      const at = ([x, y]: readonly [number, number]): string =>
        `${formatted(y, curve.unit)} at ${x.toLocaleString('en-US')}`;
      return line([`${curve.title}: ${name}`, at(first), at(last), growthOf(points).text]);
    }),
  );
  return [
    `${machine}. ${versions.join(', ')}.${absent.length === 0 ? '' : ` Not there to compare with: ${absent.join('; ')}.`}\n`,
    `\n| what | tsdock | beside it | bound |\n| --- | --- | --- | --- |\n${lines.join('')}`,
    growth.length === 0 ? '' : `\n| growth | from | to | how |\n| --- | --- | --- | --- |\n${growth.join('')}`,
  ].join('');
}

/** A page of its own, with the curves drawn. */
export function asHtml(report: Report): string {
  const rows = report.rows.map((row) => {
    const verdicts = verdictsOf(row);
    const isMissed = verdicts.some(({ isMet }) => isMet === false);
    const cells = [row.what, formatted(row.ours, row.unit), besideText(row), verdicts.map(verdictText).join('; ')];
    return `<tr${isMissed ? ' class="missed"' : ''}>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>\n`;
  });
  const absent = report.absent.length === 0 ? '' : ` Not there to compare with: ${report.absent.join('; ')}.`;
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>tsdock, measured</title>
<style>body{font:14px/1.4 sans-serif;margin:2em;max-width:1200px}table{border-collapse:collapse}
td,th{border-bottom:1px solid #ddd;padding:.3em .8em;text-align:left;vertical-align:top}.missed{color:#b00}</style>
<h1>tsdock, measured</h1>
<p>${escaped(`${report.machine}. ${report.versions.join(', ')}.${absent}`)}</p>
<table><tr><th>what</th><th>tsdock</th><th>beside it</th><th>bound</th></tr>
${rows.join('')}</table>
${report.curves.length === 0 ? '' : `<h2>Growth</h2>\n${svg(report.curves)}`}
</html>
`;
}

/** The text with what stands between the marks replaced. Throws where there are no marks. */
export function replaceMarked(text: string, content: string): string {
  const marks = /(<!-- bench:[^\n]*-->\n)[^]*?(<!-- end of bench -->)/;
  if (!marks.test(text)) throw new Error('Cannot write the table: the text has no marks "bench" and "end of bench"');
  return text.replace(marks, (_, begin: string, end: string) => `${begin}\n${content}\n${end}`);
}

/** A line of a table; a bar in a cell would end it. */
function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
}

function besideText({ beside = {}, unit }: Measured): string {
  return Object.entries(beside)
    .map(([name, value]) => `${name} ${value === undefined ? 'not there' : formatted(value, unit)}`)
    .join(', ');
}

function verdictText({ to, figure, bound, isMet, ambition, isAmbitionMet, isLeast }: Verdict): string {
  const sign = isLeast ? '≥' : '≤';
  const parts = [
    ...(bound === undefined ? [] : [`${sign} ${bound} ${isMet === true ? 'met' : 'MISSED'}`]),
    ...(ambition === undefined ? [] : [`ambition ${sign} ${ambition} ${isAmbitionMet === true ? 'met' : 'not met'}`]),
  ];
  const digits = to !== undefined ? 2 : figure >= 100 || Number.isInteger(figure) ? 0 : 1;
  const subject = figure.toFixed(digits) + (to === undefined ? '' : ` × ${to}`);
  return parts.length === 0 ? subject : `${subject}: ${parts.join(', ')}`;
}
