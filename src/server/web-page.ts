// The web page of the daemon: what it is, and its commands as links that a browser can follow.
//
// Nothing but text and links, which work from wherever the page is served: no script, and nothing from elsewhere.
//
// 2013: dockerd/dockerd.html, which CmdWeb copied to the caller

import type { Command } from '../rcli/command.js';
import { PROGRAM } from '../rcli/usage.js';

/** Calls that change nothing and need nothing, as they are typed. */
const EXAMPLES: readonly string[][] = [['ps', '-a'], ['images'], ['layers'], ['info'], ['version'], ['help']];

/** An HTML document of these commands. */
export function webPage(commands: readonly Command[]): string {
  const links = EXAMPLES.map(
    (words) => `<li><a href="${escapeHtml(pathOf(words))}">${escapeHtml(words.join(' '))}</a></li>`,
  );
  const rows = commands.map(
    ({ name, synopsis, description }) =>
      `<tr><td><a href="${escapeHtml(pathOf([name, '--help']))}">${escapeHtml(name)}</a></td>` +
      `<td><code>${escapeHtml(synopsis)}</code></td><td>${escapeHtml(description)}</td></tr>`,
  );
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>${PROGRAM}</title>
<style>
body { font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
td { padding: 0 1em 0 0; vertical-align: top }
</style>
</head>
<body>
<h1>${PROGRAM}</h1>
<p>Linux containers, as Docker ran them in early 2013. A command is the last part of the path, each <code>q</code> an
argument, the body its standard input.</p>
<ul>
${links.join('\n')}
</ul>
<table>
${rows.join('\n')}
</table>
</body>
</html>
`;
}

/** The call as a relative URL. */
function pathOf([word = '', ...args]: readonly string[]): string {
  const query = args.map((arg) => `q=${encodeURIComponent(arg)}`).join('&');
  return query === '' ? word : `${word}?${query}`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
