// What the guides for readers name: which files and symbols a cell of their tables names, and whether the project has them.
//
// A cell is a run of words in backticks: a file, below src/ or from the top of the project, then names in it, until the next
// file. A name is `function`, `Class.method`, the beginning of a test's name, or a key of LXC's in a template.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));
const FILE = /^[\w.-]+(?:\/[\w.-]+)*\.(?:ts|conf)$/;

/** The rows of all tables in a Markdown text, without their heads; `heading` is the one that they stand under. */
export function tableRows(markdown: string): { heading: string; cells: string[] }[] {
  const rows: { heading: string; cells: string[] }[] = [];
  let heading = '';
  for (const line of markdown.split('\n')) {
    if (line.startsWith('## ')) heading = line.slice(3);
    else if (line.startsWith('| --- |')) rows.pop();
    else if (line.startsWith('| '))
      rows.push({
        heading,
        cells: line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      });
  }
  return rows;
}

/** The words in backticks that are paths of files. */
export function filesIn(markdown: string): string[] {
  return wordsIn(markdown).filter((word) => FILE.test(word));
}

/** What of a cell is wrong: a line for each file or name that is not there. */
export function missingIn(cell: string): string[] {
  let text: string | undefined = ''; // a name before the first file is in none
  let file = '';
  return wordsIn(cell).flatMap((word) => {
    if (!FILE.test(word)) return text === undefined || declares(text, word) ? [] : [`no ${word} in ${file}`];
    file = word;
    text = existsSync(pathOf(file)) ? readFileSync(pathOf(file), 'utf8') : undefined;
    return text === undefined ? [`no file ${file}`] : [];
  });
}

function wordsIn(markdown: string): string[] {
  return [...markdown.matchAll(/`([^`\n]+)`/g)].map(([, word = '']) => word);
}

function pathOf(file: string): string {
  return join(PROJECT, /^(?:test|lxc-templates)\//.test(file) ? '' : 'src', file);
}

/** Whether a file declares the name; to mention it is not enough. */
function declares(text: string, name: string): boolean {
  if (name.includes(' ')) return new RegExp(`\\btest\\(\\s*['"\`]${escaped(name)}`).test(text);
  if (name.startsWith('lxc.')) return new RegExp(`^${escaped(name)} = `, 'm').test(text);
  const [owner = '', member] = name.split('.');
  const keywords = '(?:abstract class|async function|function\\*?|class|interface|type|const)';
  const found = new RegExp(`^(?:export )?${keywords} ${escaped(owner)}\\b`, 'm').exec(text);
  if (found === null || member === undefined) return found !== null;
  const end = text.indexOf('\n}\n', found.index);
  const modifiers = '(?:(?:protected|static|async|readonly|get) )*';
  return new RegExp(`^ {2}${modifiers}${escaped(member)}\\b[<(:;]`, 'm').test(text.slice(found.index, end));
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
