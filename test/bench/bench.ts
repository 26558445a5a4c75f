// The benchmark: `npm run bench`. Everything is measured side by side with plain tools in the same run, since machines are
// noisy and only ratios mean something. Prints a table and writes the figures to dist/bench.json.
//
//     npm run bench [-- [--only layers|network] [--runs N] [--archive MIB]]

import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import minimist from 'minimist';
import { benchLayers } from './layers.js';
import type { Measured } from './measure.js';
import { benchNetwork } from './network.js';

const DEFAULT_RUNS = 5;
const DEFAULT_ARCHIVE_MIB = 4096;

const flags = minimist<{ only?: string; runs?: number; archive?: number }>(process.argv.slice(2));
// These make every start of node slower, and mean nothing here.
for (const name of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR']) Reflect.deleteProperty(process.env, name);

const results: Measured[] = [];
const report = (measured: Measured): void => {
  results.push(measured);
  const { what, ours, theirs, figure, bound } = measured;
  const verdict = figure <= bound ? 'met' : 'MISSED';
  console.log(
    `${what}\n    ${ours}${theirs === '' ? '' : `; ${theirs}`}; ${figure.toFixed(2)} of at most ${bound}: ${verdict}`,
  );
};

const machine = `${cpus().length} x ${cpus()[0]?.model ?? 'unknown'}, Linux ${release()}, node ${process.versions.node}`;
console.log(machine);
const { only, runs = DEFAULT_RUNS, archive: archiveMiB = DEFAULT_ARCHIVE_MIB } = flags;
if (only === undefined || only === 'layers') await benchLayers({ runs, archiveMiB }, report);
if (only === undefined || only === 'network') await benchNetwork({ runs }, report);
writeFileSync('dist/bench.json', `${JSON.stringify({ machine, results }, null, 2)}\n`);
