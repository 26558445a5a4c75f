// The single executable as a client, to be measured beside the compiled one. It is built first, so that what is measured is
// what was compiled; where that cannot be, the benchmark says so and goes on without.

import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { TestDaemon } from '../harness.js';
import type { Bench } from './sides.js';

const TOP = fileURLToPath(new URL('../../../', import.meta.url));
/** As in examples/binary.sh: the node that goes in. */
const NODE_VERSION = '26.10.0';

/** See the head of the file. */
export interface Executable {
  /** the node that is in it, as a program of its own */
  readonly node: string;
  /** Makes a call by it. Rejects where its exit status is not 0. */
  call(daemon: TestDaemon, ...words: string[]): Promise<void>;
}

/** Builds dist/tsdock. Undefined where that cannot be. */
export function buildExecutable(bench: Bench): Executable | undefined {
  try {
    const options = { cwd: TOP, encoding: 'utf8', stdio: 'pipe' } as const;
    execFileSync('examples/binary.sh', [], options);
    const isThis = process.version.startsWith('v26.');
    const node = isThis ? process.execPath : execFileSync('examples/fetch-node.sh', [NODE_VERSION], options).trim();
    return { node, call };
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    bench.absent('the single executable', said.split('\n')[0] || String(error));
    return undefined;
  }
}

async function call(daemon: TestDaemon, ...words: string[]): Promise<void> {
  const env = { ...process.env, DOCKER: `${daemon.tcp.host}:${daemon.tcp.port}` };
  await promisify(execFile)(`${TOP}dist/tsdock`, words, { env });
}
