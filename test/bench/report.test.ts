// The report: rows, tables, the page.

import test from 'node:test';
import assert from 'node:assert/strict';
import { escaped, formatted } from './format.js';
import { asHtml, asMarkdown, replaceMarked, rowAsText, type Report } from './report.js';

const ROW: Report['rows'][number] = {
  topic: 'runs',
  what: 'an attached run',
  unit: 'ms',
  ours: 14.04,
  beside: { bare: 10, docker: 250, 'a | b': undefined },
  against: [
    { to: 'bare', bound: 1.3, ambition: 1.5 },
    { to: 'docker', bound: 0.2 },
  ],
};
const REPORT: Report = {
  machine: 'a machine',
  versions: ['Node 20', 'LXC 5'],
  absent: ['podman (not installed)'],
  rows: [ROW],
  curves: [
    {
      title: 'Lookup',
      things: 'images',
      unit: 'ms',
      series: [
        {
          name: 'by name',
          expected: 'flat',
          points: [
            [10, 1],
            [1000, 1.1],
          ],
        },
      ],
    },
  ],
};

test('formatted() shows as many digits as mean something', () => {
  assert.equal(formatted(1.234, 'ms'), '1.23 ms');
  assert.equal(formatted(12.34, 'ms'), '12.3 ms');
  assert.equal(formatted(123.4, 'MB'), '123 MB');
  assert.equal(formatted(12345.6, 'MB/s'), '12,346 MB/s');
  assert.equal(formatted(3, 'calls'), '3 calls');
});

test('rowAsText() says of each bound and ambition whether it is met', () => {
  assert.equal(
    rowAsText(ROW),
    [
      'an attached run',
      '14.0 ms; bare 10.0 ms, docker 250 ms, a | b not there',
      '1.40 × bare: ≤ 1.3 MISSED, ambition ≤ 1.5 met',
      '0.06 × docker: ≤ 0.2 met',
    ].join('\n    '),
  );
});

test('asMarkdown() is two tables, with what was not there, and a bar in a cell does not end it', () => {
  const text = asMarkdown(REPORT);
  assert.match(text, /^a machine\. Node 20, LXC 5\. Not there to compare with: podman \(not installed\)\.\n/);
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  assert.equal(lines.length, 6);
  for (const line of lines) assert.equal(line.replaceAll('\\|', '').split('|').length, 6, line);
  assert.match(text, /\| Lookup: by name \| 1\.00 ms at 10 \| 1\.10 ms at 1,000 \| flat \(× 1\.10\) \|/);
});

test('asHtml() marks the rows that miss a bound, and escapes what is text', () => {
  const isMet = { ...ROW, what: 'another run', against: [{ to: 'bare', bound: 1.5 }] };
  const page = asHtml({ ...REPORT, rows: [ROW, isMet], machine: '<b> & "c"' });
  assert.match(page, /<tr class="missed"><td>an attached run<\/td>/);
  assert.match(page, /<tr><td>another run<\/td>/);
  assert.ok(page.includes('&lt;b&gt; &amp; &quot;c&quot;'));
  assert.ok(page.includes('<svg '));
  assert.ok(!asHtml({ ...REPORT, curves: [] }).includes('<svg '));
  assert.equal(escaped('a<b'), 'a&lt;b');
});

test('replaceMarked() replaces what stands between the marks, and nothing else', () => {
  const text = 'before\n<!-- bench: by npm run bench -->\nold\n<!-- end of bench -->\nafter $& $1\n';
  const expected = 'before\n<!-- bench: by npm run bench -->\n\nnew $1\n<!-- end of bench -->\nafter $& $1\n';
  assert.equal(replaceMarked(text, 'new $1\n').replace('\n\n<!-- end', '\n<!-- end'), expected);
  assert.equal(replaceMarked(replaceMarked(text, 'x\n'), 'x\n'), replaceMarked(text, 'x\n'));
  assert.throws(() => replaceMarked('no marks', 'x'), /Cannot write the table: the text has no marks/);
});
