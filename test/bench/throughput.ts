// How fast a container sends to its host: the same sender in each container (busybox's nc, with dd behind it), the same
// receiver on each host, which reads to the end and says how long that took.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../harness.js';

const PORT = 5000;
const BLOCK_SIZE = 'bs=256k';
const BLOCKS = 6144;
/** How long the receiver may take to end after the sender. */
const DEADLINE_MS = 5_000;
/** In the table of a network namespace's sockets: the port, the state of a listening one. */
const LISTENING = new RegExp(`:${PORT.toString(16).padStart(4, '0').toUpperCase()} [0:]+ 0A `, 'm');

/**
 * What the sender in the container is, for a host at that address. It sends until the receiver, which counts, has had enough:
 * what one that ends by itself has not yet got rid of would be lost, with the end of the connection, as its network goes.
 */
export function sender(address: string): string[] {
  return ['/bin/nc', address, String(PORT), '-e', '/bin/dd', 'if=/dev/zero', BLOCK_SIZE];
}

/** Receives once on the host that `enter` leads to, while `send` sends. In megabytes a second. */
export async function throughput(enter: readonly string[], send: () => Promise<unknown>): Promise<number> {
  const dd = ['/bin/dd', 'of=/dev/null', BLOCK_SIZE, `count=${BLOCKS}`, 'iflag=fullblock'];
  const [command = '', ...args] = [...enter, 'busybox', 'nc', '-l', '-p', String(PORT), '-e', ...dd];
  const receiver = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, LC_ALL: 'C' } });
  try {
    let said = '';
    receiver.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const ended = new Promise((resolve) => receiver.once('close', resolve));
    await until(() => receiver.exitCode !== null || isListening(receiver.pid ?? 0), 'the receiver listens');
    await send().catch(() => undefined); // the receiver closes the connection: whether that was too early is seen below
    await Promise.race([ended, sleep(DEADLINE_MS, undefined, { ref: false })]);
    const [, bytes, seconds] = /^(\d+) bytes .* copied, ([\d.]+) s,/m.exec(said) ?? [];
    if (seconds === undefined) throw new Error(`The receiver did not get all: ${said}`);
    return Number(bytes) / Number(seconds) / 1e6;
  } finally {
    receiver.kill('SIGKILL');
  }
}

/** In the namespace of that process, once it is busybox's; before that it might be somebody else's port. */
function isListening(pid: number): boolean {
  if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').startsWith('busybox')) return false;
  return ['tcp', 'tcp6'].some((table) => LISTENING.test(readFileSync(`/proc/${pid}/net/${table}`, 'latin1')));
}
