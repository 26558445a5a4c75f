// The long run of the fuzz test: parsers, archives, and every command of two daemons, one of them with a network.
//
//     node dist/test/soak/fuzz.js [--minutes 20] [--seed N]
//
// Prints a line a minute. Ends with status 1 and the case that failed, as it stands in test/fuzz/seeds.ts then.

import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { ARCHIVE_TARGETS } from '../fuzz/archive-targets.js';
import { CommandTarget } from '../fuzz/command-target.js';
import { residentMib } from '../fuzz/daemon-state.js';
import { firstSeed, formatCounts, fuzz, replay, type Counts, type Target } from '../fuzz/fuzz.js';
import { Random } from '../fuzz/random.js';
import { SEEDS } from '../fuzz/seeds.js';
import { WIRE_TARGETS } from '../fuzz/wire-targets.js';
import { TestDaemon } from '../harness.js';
import { TestMachine } from '../network/test-machine.js';

/** How a minute is shared, in seconds. */
const PARSERS_S = 12;
const DAEMON_S = 24;
const MINUTE_S = PARSERS_S + 2 * DAEMON_S;
/** How much larger the memory of a daemon may be at the end than it was after the first quarter, in MiB. */
const GROWTH_MIB = 50;

/** Fuzzes for `minutes`. Rejects with the case that fails. */
export async function fuzzFor(minutes: number, seed: number, say: (line: string) => void): Promise<void> {
  say(`fuzz: ${minutes} minutes, seed ${seed}`);
  const machine = await TestMachine.start();
  const daemons = [await TestDaemon.start(), await machine.daemon()];
  const [plain, networked] = [
    await CommandTarget.start(daemons[0] ?? assert.fail()),
    await CommandTarget.start(daemons[1] ?? assert.fail(), 'commands-network'),
  ];
  const parsers = [...WIRE_TARGETS, ...ARCHIVE_TARGETS];
  const own: number[] = [];
  try {
    for (const each of SEEDS) await replay([...parsers, plain, networked], each);
    const seeds = new Random(seed);
    const totals: Counts = {};
    const slice = async (targets: readonly Target[], seconds: number): Promise<void> => {
      const counts = await fuzz(targets, seeds.below(2 ** 32), (seconds * Math.min(minutes, 1) * 60) / MINUTE_S);
      for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count;
    };
    const end = performance.now() + minutes * 60_000;
    for (let minute = 1; performance.now() < end; minute++) {
      await slice(parsers, PARSERS_S);
      await slice([plain], DAEMON_S);
      await slice([networked], DAEMON_S);
      own.push(residentMib(process.pid));
      const memory = [plain, networked].map(({ resident }) => `${resident.at(-1) ?? 0} MiB`).join(' and ');
      say(`fuzz: minute ${minute}: ${formatCounts(totals)}; daemons ${memory}, this process ${own.at(-1) ?? 0} MiB`);
    }
    for (const { name, resident, calls, longestPing } of [plain, networked]) {
      const [early, late] = [resident[resident.length >> 2] ?? 0, median(resident.slice(-10))];
      say(`fuzz: ${name}: ${calls} calls, version answered within ${longestPing} ms, ${early} MiB, then ${late} MiB`);
      assert.ok(minutes < 5 || late - early < GROWTH_MIB, `${name}: ${early} MiB, then ${late} MiB`);
    }
  } finally {
    for (const target of [plain, networked]) target.close();
    for (const daemon of daemons) await daemon.close();
    await machine.close();
  }
  say('fuzz: no crash, no hang, no growth');
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name: string, standard: number): number => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? standard : Number(process.argv[at + 1]);
  };
  await fuzzFor(option('minutes', 20), option('seed', firstSeed()), (line) => void process.stdout.write(`${line}\n`));
}
