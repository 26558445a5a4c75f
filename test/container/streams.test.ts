// The FIFOs and the terminal of a run, where they cannot be opened: nothing of them stays open.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createPipes, createTerminal, type OpenStreams } from '../../src/container/streams.js';
import { hasCode } from '../../src/linux/libc.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** More than any of them needs. */
const MOST = 16;
const FEW = 256;

/** Lets this process have few files open, until the test ends. */
function limitFiles(t: TestContext): void {
  const [, soft = '', hard = ''] =
    /^Max open files +(\d+) +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  const limit = (files: number | string): void =>
    void execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${files}:${hard}`]);
  limit(FEW);
  t.after(() => limit(soft));
}

/** Does `body` while so many files more can be opened. */
function withSpare<T>(spare: number, body: () => T): T {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync('/dev/null', 'r'));
  } catch {
    for (const fd of taken.splice(0, spare)) closeSync(fd); // all are taken
  }
  try {
    return body();
  } finally {
    for (const fd of taken) closeSync(fd);
  }
}

function closeAll({ forLxc, sources, stdin }: OpenStreams): void {
  stdin?.destroy();
  const fds = sources.flatMap(({ fifo, terminal }) => [fifo, terminal?.master, terminal?.peer]);
  for (const fd of new Set([...forLxc, ...fds])) if (fd !== undefined) closeSync(fd);
}

const CREATE: Record<string, (root: string) => OpenStreams> = {
  'createPipes()': (root) => createPipes(root, false),
  'createPipes() with stdin': (root) => createPipes(root, true),
  'createTerminal()': createTerminal,
};

for (const [name, create] of Object.entries(CREATE))
  test(`${name} leaves nothing open where it fails, nor do its streams where a holder cannot have them`, (t) => {
    const folder = temporaryFolder(t);
    limitFiles(t);
    const open = (): string[] => readdirSync('/proc/self/fd');
    /** How often `body` fails of too few open files, with one more each time, until it does not. */
    const failures = <T>(body: () => T): { failed: number; made: T } => {
      for (let spare = 0; spare < MOST; spare++) {
        const before = open();
        try {
          return { failed: spare, made: withSpare(spare, body) };
        } catch (error) {
          assert.ok(hasCode(error, 'EMFILE'), String(error));
        }
        assert.deepEqual(open(), before, `with ${spare} to spare`);
      }
      throw new Error('it never succeeds');
    };
    const roots = Array.from({ length: MOST }, () => mkdtempSync(join(folder, 'root-')));
    const { failed, made } = failures(() => create(roots.pop() ?? ''));
    assert.ok(failed >= 4, `failed only ${failed} times`);
    const holding = failures(() => made.openForHolder());
    assert.ok(holding.failed >= 2, `failed only ${holding.failed} times`);
    made.closeForHolder(holding.made);
    closeAll(made);
  });
