// `npm run soak`: the long forms of what the tests do in short, one after the other, and a table of what came of them. With
// names behind it (`npm run soak -- kills points`) these alone; any other word goes to the one named before it (`npm run soak --
// kills --seed 7`).
//
// Each is a program of its own, so that nothing of one is left in the next. It fails where its exit status is not 0.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What can be run: a compiled file below test/, and its arguments. */
const LONG_FORMS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  conformance: ['conformance/main.js', '--strict', '--drivers', 'overlay,vfs', '--transports', 'tcp,http'],
  kills: ['soak/kill-main.js', 'random'],
  points: ['soak/kill-main.js', 'points'],
  faults: ['soak/fault-main.js'],
  load: ['soak/load.js'],
  fuzz: ['soak/fuzz.js', '--minutes', '20'],
};

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const wanted = chosen(args);
  if (wanted === undefined) return 2;
  const rows: string[] = [];
  let failed = 0;
  for (const { name, words } of wanted) {
    console.log(`== ${name}`);
    const startedAt = performance.now();
    const status = await run(words);
    if (status !== 0) failed++;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    rows.push(`${name.padEnd(14)}${(status === 0 ? 'passed' : `failed (${status})`).padEnd(14)}${seconds} s`);
  }
  console.log(`\n${rows.join('\n')}`);
  return failed === 0 ? 0 : 1;
}

/** What the command line names, with its own arguments; all where it names none. Undefined where it names what is not there. */
function chosen(args: readonly string[]): { name: string; words: string[] }[] | undefined {
  const names = Object.keys(LONG_FORMS);
  const wanted: { name: string; words: string[] }[] = [];
  for (const word of args.length === 0 ? names : args) {
    const form = LONG_FORMS[word];
    const last = wanted.at(-1);
    if (form !== undefined) wanted.push({ name: word, words: [...form] });
    else if (last !== undefined) last.words.push(word);
    else {
      console.error(`There is no "${word}" to run: there are ${names.join(', ')}`);
      return undefined;
    }
  }
  return wanted;
}

function run([file = '', ...args]: readonly string[]): Promise<number> {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status) => resolve(status ?? 1));
  });
}
