// Loading a daemon while another caller measures how soon it is answered, and what the daemon's process has: memory and
// descriptors.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until, type TestDaemon } from '../harness.js';
import type { ProbeResult } from './probe.js';

/** How soon another caller is answered, in milliseconds, on a machine that has time. */
export const ANSWER_MS = 100;
/** How soon a plain server answers there, in milliseconds, though all processors are busy. */
const CONTROL_MS = 4;

/** Does `body` while a probe asks the daemon. Resolves with what the probe found, and the result of `body`. */
export async function whileProbed<T>(daemon: TestDaemon, body: () => Promise<T>): Promise<[ProbeResult, T]> {
  const control = start('control.js');
  const controlPort = await firstLine(control);
  const { host, port } = daemon.tcp;
  const probe = start('probe.js', host, String(port), controlPort);
  let output = '';
  probe.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  try {
    await firstLine(probe);
    const result = await body();
    const ended = new Promise((resolve) => probe.once('close', resolve));
    probe.stdin?.end();
    await ended;
    const found = JSON.parse(output.slice(output.indexOf('\n'))) as ProbeResult; // what probe.ts prints
    return [found, result];
  } finally {
    for (const child of [probe, control]) child.kill('SIGKILL');
  }
}

/**
 * Fails where another caller was not answered, or had to wait longer than the machine made it wait: nearly all may take
 * ANSWER_MS, more where the plain server too needs longer than it does on a machine that has time, and none ten times that.
 */
export function assertAnswered({ daemon, control, failures }: ProbeResult, what: string): void {
  assert.deepEqual(failures, [], what);
  assert.ok(daemon.count > 5, `${what}: only ${daemon.count} calls`);
  const limitMs = ANSWER_MS * Math.max(1, control.p99Ms / CONTROL_MS);
  const found = `${what}: other callers waited: ${showLatency(daemon)}; for a plain server: ${showLatency(control)}`;
  assert.ok(daemon.p99Ms < limitMs && daemon.worstMs < 10 * limitMs, found);
}

/** `n calls, p99 m ms, worst m ms` */
export function showLatency({ count, p99Ms, worstMs }: ProbeResult['daemon']): string {
  return `${count} calls, p99 ${p99Ms.toFixed(0)} ms, worst ${worstMs.toFixed(0)} ms`;
}

/** What a process has in memory, of its own and its share of what is shared, in bytes. */
export function pssBytes(pid: number): number {
  const [, kibibytes = ''] = /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')) ?? [];
  return Number(kibibytes) * 1024;
}

/** What a process has open, each as `/proc/PID/fd` names it, but for the numbers of sockets and the like. */
export function openFilesOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[\d+\]/, '')];
      } catch {
        return []; // it has been closed meanwhile
      }
    })
    .sort();
}

/** The sockets of a daemon when nobody calls: its two ports, its log, and the one by which it asks whose a caller is. */
export const SOCKETS_AT_REST: readonly string[] = ['socket:', 'socket:', 'socket:', 'socket:'];

/** What a daemon has open when nobody calls: `began` is what it had before the first call. */
export async function filesAtRest(pid: number, began: readonly string[]): Promise<string[]> {
  const sockets = (files: readonly string[]): number => files.filter((name) => name === 'socket:').length;
  await until(() => sockets(openFilesOf(pid)) <= sockets(began), 'all connections are closed');
  return openFilesOf(pid);
}

/** The most memory that a process has while `body` is done, in bytes. */
export async function peakPss<T>(pid: number, body: () => Promise<T>): Promise<[number, T]> {
  let peak = pssBytes(pid);
  const timer = setInterval(() => (peak = Math.max(peak, pssBytes(pid))), 100);
  try {
    const result = await body();
    return [Math.max(peak, pssBytes(pid)), result];
  } finally {
    clearInterval(timer);
  }
}

function start(script: string, ...args: string[]): ChildProcess {
  const path = fileURLToPath(new URL(script, import.meta.url));
  return spawn(process.execPath, [path, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().split('\n')[0] ?? ''));
    child.once('exit', () => reject(new Error('it has ended before it was ready')));
  });
}
