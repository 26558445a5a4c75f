// `npm run soak`: the long forms of what the tests do in short, one after the other, and a table of what came of them. With
// names behind it (`npm run soak -- kills points`) these alone; any other word goes to the one named before it (`npm run soak --
// kills --seed 7`).
//
// Each is a program of its own, so that nothing of one is left in the next. It fails where its exit status is not 0; the last
// line that it prints says what it found. The sweep of faults takes an hour at most, the kills at each
// point half an hour, fuzz 20 minutes.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** What can be run: a compiled file below test/, and its arguments. */
const LONG_FORMS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  conformance: ['conformance/main.js', '--strict', '--drivers', 'overlay,vfs', '--transports', 'tcp,http'],
  kills: ['soak/kill-main.js', 'random'],
  points: ['soak/kill-main.js', 'points'],
  faults: ['soak/fault-main.js'],
  load: ['soak/load.js'],
  files: ['server/hostile.daemon.test.js'],
  fuzz: ['soak/fuzz.js', '--minutes', '20'],
};
/** How many files in one folder `files` makes; the tests make fewer. */
const MANY_FILES = '50000';
/** How much of the last line of each is shown, in characters. */
const LINE_CHARACTERS = 120;
/** What a test file says behind how many tests have failed. */
const REST_OF_SUMMARY = /^[#ℹ] (cancelled|skipped|todo|duration_ms) /;
/** How much of what each prints is kept to find that line. */
const TAIL_CHARACTERS = 4096;

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const wanted = chosen(args);
  if (wanted === undefined) return 2;
  const rows: string[] = [];
  let failed = 0;
  for (const { name, words } of wanted) {
    console.log(`== ${name}`);
    const startedAt = performance.now();
    const { status, lastLine } = await run(words);
    if (status !== 0) failed++;
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    const verdict = (status === 0 ? 'passed' : `FAILED (${status})`).padEnd(12);
    rows.push(`${name.padEnd(12)} ${verdict} ${String(seconds).padStart(6)}  ${lastLine}`);
  }
  console.log(`\n${'WHAT'.padEnd(12)} ${'RESULT'.padEnd(12)} SECONDS FOUND\n${rows.join('\n')}`);
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

/** Shows what it prints as it comes. */
async function run([file = '', ...args]: readonly string[]): Promise<{ status: number; lastLine: string }> {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url));
  const env = { TSDOCK_TEST_FILES: MANY_FILES, ...process.env };
  const child = spawn(process.execPath, [path, ...args], { stdio: ['inherit', 'pipe', 'inherit'], env });
  let end = '';
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    end = (end + chunk.toString()).slice(-TAIL_CHARACTERS);
  });
  const status = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? 1));
  });
  const lines = end.split('\n').filter((line) => line.trim() !== '' && !REST_OF_SUMMARY.test(line));
  return { status, lastLine: (lines.at(-1) ?? '').trim().slice(0, LINE_CHARACTERS) };
}
