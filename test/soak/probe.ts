// Another caller, in a process of its own: it calls `ps` again and again while somebody else loads the daemon, and tells
// how long each call took, in milliseconds.
//
// A machine that is busy makes every caller wait. So it asks a plain server beside (control.ts) just as often, by the same
// means: what that one takes is the machine's share.
//
// argv: host, port of the daemon, port of the control. It runs until its standard input ends, and prints JSON.

import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** Between two calls, in milliseconds. */
const PAUSE_MS = 10;

/** What was measured of one server. */
export interface Latency {
  count: number;
  worstMs: number;
  p99Ms: number;
}

/** What the probe prints. */
export interface ProbeResult {
  daemon: Latency;
  control: Latency;
  /** calls that were not answered as they should be */
  failures: string[];
}

const [host = '', port = '', controlPort = ''] = process.argv.slice(2);
const call = '["ps"]\n';
const failures: string[] = [];
let isOver = false;
process.stdin.once('end', () => (isOver = true)).resume();

async function time(to: number, isRight: (reply: string) => boolean): Promise<number> {
  const startedAt = performance.now();
  const reply = await new Promise<string>((resolve) => {
    const pieces: Buffer[] = [];
    const socket = connect({ host, port: to, allowHalfOpen: true });
    socket.on('error', (error) => resolve(`no answer: ${error.message}`));
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.on('end', () => {
      resolve(Buffer.concat(pieces).toString());
      socket.destroy();
    });
    socket.end(call);
  });
  const took = performance.now() - startedAt;
  if (!isRight(reply)) failures.push(reply.slice(0, 200));
  return took;
}

function summary(times: number[]): Latency {
  const sorted = [...times].sort((a, b) => a - b);
  return {
    count: times.length,
    worstMs: sorted.at(-1) ?? 0,
    p99Ms: sorted[Math.max(0, Math.ceil(sorted.length * 0.99) - 1)] ?? 0,
  };
}

const daemon: number[] = [];
const control: number[] = [];
const prober = async (times: number[], to: number, isRight: (reply: string) => boolean): Promise<void> => {
  while (!isOver) {
    times.push(await time(to, isRight));
    await sleep(PAUSE_MS);
  }
};
process.stdout.write('ready\n');
await Promise.all([
  prober(daemon, Number(port), (reply) => reply.startsWith('ID ')),
  prober(control, Number(controlPort), (reply) => reply === call),
]);
process.stdout.write(`${JSON.stringify({ daemon: summary(daemon), control: summary(control), failures })}\n`);
process.exit(0);
