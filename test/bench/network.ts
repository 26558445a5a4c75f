// Runs network-inside.ts, in a network of its own, and passes on what that measures.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Measured } from './measure.js';
import { isInstalled } from './peer.js';
import type { Bench } from './sides.js';

/** Shell scripts stay where the sources are. */
const OWN_NETWORK = fileURLToPath(new URL('../../../test/bench/own-network.sh', import.meta.url));
const INSIDE = fileURLToPath(new URL('network-inside.js', import.meta.url));

/** Measures everything about networks, and prints each result when it is there. */
export async function benchNetwork(bench: Bench): Promise<void> {
  if (!isInstalled('dockerd')) bench.absent('docker', 'not installed');
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
  const child = spawn(OWN_NETWORK, [process.execPath, INSIDE, String(bench.runs)], { stdio: [...stdio] });
  child.on('message', (message) => bench.report(message as Measured)); // it sends nothing else
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(`The network ended with ${code}`))));
  });
}
