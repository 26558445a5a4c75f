// The long forms of what `test/server/load.daemon.test.ts` does in short. Prints what each of them found.
//
// node dist/test/soak/load.js [--containers 200] [--log 5g] [--runs 2000] [--only NAME]
//
// It ends with status 1 where one of them fails, and goes on with the others. It needs the room of the log on the disk, once.

import { parseArgs } from 'node:util';
import { parseLogMax } from '../../src/server/log-max.js';
import { errorMessage } from '../../src/util/errors.js';
import { TestDaemon } from '../harness.js';
import { attachMany, printMuch, printWithinBound } from './long-output.js';
import { callOnEach, connectAll, removeAll, runAndRemove, sayNothing, startAtOnce } from './loads.js';
import {
  assertAnswered,
  filesAtRest,
  openFilesOf,
  peakPss,
  pssBytes,
  showLatency,
  SOCKETS_AT_REST,
  whileProbed,
} from './while-probed.js';

const MEBIBYTE = 1024 * 1024;
/** How much more memory the daemon may have at its peak than before, in bytes. */
const GROWTH_BYTES = 96 * MEBIBYTE;
/** How many runs there are between two looks at the memory. */
const RUNS_AT_ONCE = 200;

const { values } = parseArgs({
  options: {
    containers: { type: 'string', default: '200' },
    log: { type: 'string', default: '5g' },
    runs: { type: 'string', default: '2000' },
    only: { type: 'string' },
  },
});

/** What is done to a daemon of its own; what it returns is printed. */
const LOADS: Readonly<Record<string, (daemon: TestDaemon) => Promise<string>>> = {
  connections: async (daemon) => {
    const sockets = await connectAll(daemon, 1_000);
    const spread = await probed(daemon, '1,000 open connections', () => callOnEach(sockets, 4_000));
    const [burst] = await whileProbed(daemon, async () => callOnEach(await connectAll(daemon, 1_000)));
    return `${spread}; all in one moment: ${showLatency(burst.daemon)}`;
  },
  silent: (daemon) => probed(daemon, '300 idle and 50 slow callers', () => sayNothing(daemon, 300, 50)),
  containers: async (daemon) => {
    let ids: string[] = [];
    const start = async (): Promise<void> =>
      void (ids = await startAtOnce(daemon, Number(values.containers), 'sleep', '600'));
    const started = await probed(daemon, `${values.containers} containers`, start);
    return `${started}; removed: ${await probed(daemon, 'their end', () => removeAll(daemon, ids))}`;
  },
  attached: (daemon) =>
    probed(daemon, '100 attached callers', () =>
      attachMany(daemon, { callers: 100, silent: 10, bytes: 64 * MEBIBYTE }),
    ),
  log: (daemon) => probed(daemon, `a log of ${values.log}`, () => printMuch(daemon, parseLogMax(values.log))),
  bounded: (daemon) =>
    probed(daemon, 'a log of 10 MiB', () =>
      printWithinBound(daemon, { bound: 10 * MEBIBYTE, lines: 20_000_000, linesAtOnce: 100_000 }),
    ),
  runs: async (daemon) => {
    const pss: string[] = [];
    await runAndRemove(daemon, RUNS_AT_ONCE, 4);
    const before = openFilesOf(daemon.pid).filter((name) => name !== 'socket:');
    const found = await probed(daemon, `${values.runs} runs`, async () => {
      for (let left = Number(values.runs); left > 0; left -= RUNS_AT_ONCE) {
        await runAndRemove(daemon, Math.min(left, RUNS_AT_ONCE), 4);
        pss.push(megabytes(pssBytes(daemon.pid)));
      }
    });
    const after = (await filesAtRest(daemon.pid, SOCKETS_AT_REST)).filter((name) => name !== 'socket:');
    if (after.join(' ') !== before.join(' '))
      throw new Error(`open before: ${before.join(' ')}; after: ${after.join(' ')}`);
    return `${found}; ${after.length} descriptors before and after; MB after each ${RUNS_AT_ONCE} runs: ${pss.join(' ')}`;
  },
};

let isFailed = false;
for (const [name, load] of Object.entries(LOADS)) {
  if (values.only !== undefined && values.only !== name) continue;
  const daemon = await TestDaemon.start({ args: name === 'bounded' ? ['--log-max', '10m'] : [] });
  const startedAt = performance.now();
  try {
    const found = await load(daemon);
    console.log(`${name}: ok in ${((performance.now() - startedAt) / 1000).toFixed(0)} s: ${found}`);
  } catch (error) {
    isFailed = true;
    console.log(`${name}: FAILED: ${errorMessage(error)}`);
  } finally {
    await daemon.close();
  }
}
console.log(isFailed ? 'not all loads were borne' : 'all loads were borne: see above');
process.exit(isFailed ? 1 : 0);

/** Does it while others call, and looks at the memory. */
async function probed(daemon: TestDaemon, what: string, body: () => Promise<unknown>): Promise<string> {
  const before = pssBytes(daemon.pid);
  const [found, [peak]] = await whileProbed(daemon, () => peakPss(daemon.pid, body));
  assertAnswered(found, what);
  if (peak - before > GROWTH_BYTES)
    throw new Error(`${what}: ${megabytes(before)} MB before, ${megabytes(peak)} MB then`);
  return `others ${showLatency(found.daemon)} (plain server ${showLatency(found.control)}), ${megabytes(before)} MB, peak ${megabytes(peak)} MB`;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}
