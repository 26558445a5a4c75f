// The end of a process whose threads are at work.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';

/** A thread that does nothing but load koffi, as one that begins does once. It is in the midst of it at any moment. */
const THREAD = `
import { parentPort } from 'node:worker_threads';
const path = process.report.getReport().sharedObjects.find((name) => name.endsWith('koffi.node'));
process.dlopen({ exports: {} }, path);
parentPort.postMessage('begun');
for (;;) process.dlopen({ exports: {} }, path);`;
const PROGRAM = `
const [{ exitAtOnce }, { once }, { Worker }] =
  await Promise.all([import(process.argv[1]), import('node:events'), import('node:worker_threads')]);
await once(new Worker(new URL('data:text/javascript,' + encodeURIComponent(process.argv[2]))), 'message');
process.on('exit', () => console.log('told'));
exitAtOnce(3);`;

test('exitAtOnce() ends with its status, after those who want to know, whatever threads are at', () => {
  const url = new URL('../../src/linux/exit.js', import.meta.url).href;
  for (let nth = 0; nth < 3; nth++) {
    const args = ['--input-type=module', '-e', PROGRAM, url, THREAD];
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 });
    assert.deepEqual({ status, signal, stdout }, { status: 3, signal: null, stdout: 'told\n' }, stderr);
  }
});
