// Runs test files, several at once, as `node --test` does; but in an order that keeps all of them busy to the end: the slow
// ones first, then what has a daemon, and what is quick last. (`node --test` takes them by their names.) What measures times
// comes at the end, by itself.
//
//     node dist/test/run-files.js FILE...
//
// run.sh calls it, with the node that the tests are to run on. Prints TAP, and at its end which files took longest: who
// makes the whole run shorter looks there. It ends with status 1 where a test has failed.

import { once } from 'node:events';
import { cpus } from 'node:os';
import { resolve } from 'node:path';
import { tap } from 'node:test/reporters';
import { run } from 'node:test';

/** Each file has its own daemon, directory and ports, and waits half of its time. */
const FILES_AT_ONCE = Math.max(2, cpus().length);
/** What takes half a minute or more, so that none of it is begun when all else is done. */
const SLOW =
  /\/(hostile|variants|kill-points|tcp|changes|faults|damage|original-data|kills|survival|life|injection|commands|parsers)\.(daemon\.)?test\.js$/;
const SHOWN = 12;

/** What measures how soon a daemon answers, or types into a terminal as a person does: nothing else runs beside it. */
const ALONE = /\/(load|stalls|interactive|terminal)\.daemon\.test\.js$/;
const begun = new Map<string, number>();
const took: { file: string; seconds: number }[] = [];

const files = process.argv.slice(2).map((file) => resolve(file));
const beside = files.filter((file) => !ALONE.test(file));
await runFiles(
  [0, 1, 2].flatMap((turn) => beside.filter((file) => turnOf(file) === turn)),
  FILES_AT_ONCE,
);
await runFiles(
  files.filter((file) => ALONE.test(file)),
  1,
);
const slowest = took.sort((one, other) => other.seconds - one.seconds).slice(0, SHOWN);
for (const { file, seconds } of slowest) console.log(`# ${seconds.toFixed(0).padStart(4)} s ${file}`);

async function runFiles(ordered: string[], atOnce: number): Promise<void> {
  if (ordered.length === 0) return;
  const tests = run({ files: ordered, concurrency: Math.min(atOnce, ordered.length) });
  tests.on('test:fail', ({ todo, skip }) => {
    if (todo === undefined && skip === undefined) process.exitCode = 1;
  });
  // A file is a test itself, which has its path as its name.
  tests.on('test:dequeue', ({ name, nesting }) => {
    if (nesting === 0 && ordered.includes(name)) begun.set(name, performance.now());
  });
  tests.on('test:complete' as 'test:pass', ({ name, nesting }) => {
    const at = begun.get(name);
    if (nesting === 0 && at !== undefined) took.push({ file: name, seconds: (performance.now() - at) / 1000 });
  });
  const output = tests.compose(tap);
  output.pipe(process.stdout, { end: false });
  await once(output, 'end');
}

function turnOf(file: string): number {
  if (SLOW.test(file)) return 0;
  return file.endsWith('.daemon.test.js') ? 1 : 2;
}
