// The benchmark: `npm run bench`. Everything is measured side by side with plain tools, and with what is installed of other
// engines, in the same run, since machines are noisy and only ratios mean something. Prints each row when it is there;
// dist/bench.json has the figures, dist/bench.md the table, dist/bench.html the table and the curves.
//
//     npm run bench [-- [--quick] [--only TOPIC[,TOPIC...]] [--runs N] [--write]]
//
// --write puts the table into README.md as well. It installs nothing: what is not there to compare with, it names.

import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import minimist from 'minimist';
import { benchBudget } from './budget.js';
import { growthOf } from './fit.js';
import { benchGrowth } from './growth.js';
import { benchKilled } from './killed.js';
import { benchLayers } from './layers.js';
import { benchLists } from './lists.js';
import { machine, toolVersions } from './machine.js';
import { benchMemory } from './memory.js';
import { benchNetwork } from './network.js';
import { benchOutput } from './output.js';
import { benchParallel } from './parallel.js';
import { asHtml, asMarkdown, replaceMarked, rowAsText, type Report } from './report.js';
import { benchRuns } from './runs.js';
import type { Bench } from './sides.js';

const TOPICS: Readonly<Record<string, (bench: Bench) => Promise<void>>> = {
  runs: benchRuns,
  budget: benchBudget,
  parallel: benchParallel,
  lists: benchLists,
  layers: benchLayers,
  output: benchOutput,
  memory: benchMemory,
  killed: benchKilled,
  growth: benchGrowth,
  network: benchNetwork, // the last: it is another process, which removes its files as it ends
};
const RUNS = { quick: 2, full: 5 };
const README = fileURLToPath(new URL('../../../README.md', import.meta.url));

process.exitCode = await main(process.argv.slice(2));

async function main(args: string[]): Promise<number> {
  const flags = minimist<{ only?: string; runs?: number; quick?: boolean; write?: boolean }>(args, {
    boolean: ['quick', 'write'],
    string: ['only'],
  });
  const wanted = flags.only?.split(',') ?? Object.keys(TOPICS);
  const unknown = wanted.filter((name) => !Object.hasOwn(TOPICS, name));
  if (unknown.length > 0) {
    console.error(`There is no "${unknown.join(', ')}" to measure: there are ${Object.keys(TOPICS).join(', ')}`);
    return 2;
  }
  process.setMaxListeners(0); // each daemon's files go at the exit, and not before: see `startDaemon`
  // These make every start of node slower, and mean nothing here.
  for (const name of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR'])
    Reflect.deleteProperty(process.env, name);

  const size = flags.quick === true ? 'quick' : 'full';
  const versions = new Set(toolVersions());
  const absent = new Map<string, string>();
  const rows: Report['rows'][number][] = [];
  const curves: Report['curves'][number][] = [];
  const benchFor = (topic: string): Bench => ({
    isQuick: size === 'quick',
    runs: flags.runs ?? RUNS[size],
    report: (measured) => {
      rows.push({ topic, ...measured });
      console.log(rowAsText(measured));
    },
    draw: (curve) => {
      curves.push(curve);
      for (const { name, points } of curve.series) console.log(`${curve.title}: ${name}: ${growthOf(points).text}`);
    },
    present: (version) => versions.add(version),
    absent: (name, why) => absent.set(name, why),
  });

  const found = machine(); // at the start: later the load is its own
  console.log(found);
  const missing = (): string[] => [...absent].map(([name, why]) => `${name} (${why})`);
  for (const topic of wanted) {
    const startedAt = performance.now();
    await TOPICS[topic]?.(benchFor(topic));
    console.log(`== ${topic}: ${Math.round((performance.now() - startedAt) / 1000)} s`);
    // After each, so that what is found is kept where a later one fails.
    write({ machine: found, versions: [...versions], absent: missing(), rows, curves });
  }
  if (absent.size > 0) console.log(`Not there to compare with: ${missing().join('; ')}`);
  console.log('Written: dist/bench.json, dist/bench.md, dist/bench.html');
  if (flags.write === true) {
    writeFileSync(README, replaceMarked(readFileSync(README, 'utf8'), readFileSync('dist/bench.md', 'utf8')));
  }
  return 0;
}

function write(report: Report): void {
  const growth = report.curves.map((curve) => ({
    ...curve,
    series: curve.series.map((series) => ({ ...series, growth: growthOf(series.points) })),
  }));
  writeFileSync('dist/bench.json', `${JSON.stringify({ ...report, curves: growth }, null, 2)}\n`);
  writeFileSync('dist/bench.md', asMarkdown(report));
  writeFileSync('dist/bench.html', asHtml(report));
}
