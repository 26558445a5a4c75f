// Removing what LXC leaves of a container's cgroups, with what is in them, and nobody else's.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { endCgroups, findCgroups, removeCgroups } from '../../src/lxc/cgroups.js';
import { Freezer } from '../../src/lxc/freezer.js';
import { readMounts } from '../../src/linux/mountinfo.js';
import { until } from '../harness.js';

/** No id that a container has: those are random. */
const ID = `test${process.pid}`;
const [TREE = ''] = readMounts().flatMap(({ type, path, options }) =>
  type === 'cgroup2' || (type === 'cgroup' && options.includes('freezer')) ? [path] : [],
);

/** What a test made, taken away after it, the last thing first. */
class Made {
  readonly #undo: (() => Promise<void> | void)[] = [];

  constructor(t: TestContext) {
    t.after(async () => {
      for (const step of this.#undo.reverse()) await step();
    });
  }

  cgroup(...names: string[]): string {
    const path = join(TREE, ...names);
    mkdirSync(path);
    this.#undo.push(() => {
      if (existsSync(path)) rmdirSync(path);
    });
    return path;
  }

  /** A process in a cgroup, by pid. */
  async processIn(cgroup: string): Promise<number> {
    const child = spawn('sleep', ['1000'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    this.#undo.push(async () => {
      child.kill('SIGKILL');
      new Freezer(ID, cgroup, isUnified(cgroup)).thaw();
      await ended;
    });
    await new Promise((resolve) => child.once('spawn', resolve));
    writeFileSync(join(cgroup, 'cgroup.procs'), String(child.pid));
    return child.pid ?? 0;
  }
}

function isUnified(cgroup: string): boolean {
  return existsSync(join(cgroup, 'cgroup.freeze'));
}

/** The folder of the cgroup that this process is in, in the tree that the tests use. */
function ownCgroup(): string {
  const line = /^\d+:(?:[^:]*,)?freezer(?:,[^:]*)?:(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'));
  return join(TREE, (line ?? /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8')))?.[1] ?? '');
}

test("removeCgroups() removes LXC's cgroups by all names that they may have, and kills what is in them", async (t) => {
  const made = new Made(t);
  const payload = made.cgroup(`lxc.payload.${ID}`);
  const second = made.cgroup(`lxc.payload.${ID}-1`);
  const inner = made.cgroup(`lxc.payload.${ID}-1`, 'inner');
  const monitor = made.cgroup(`lxc.monitor.${ID}`);
  const pids = [await made.processIn(second), await made.processIn(inner)];
  await removeCgroups(ID);
  for (const path of [payload, second, monitor]) assert.ok(!existsSync(path), path);
  await until(() => pids.every((pid) => !existsSync(`/proc/${pid}`)), 'they have ended');
  await removeCgroups(ID);
});

test('removeCgroups() leaves the cgroups of others alone', async (t) => {
  const made = new Made(t);
  const others = [`lxc.payload.${ID}0`, `lxc.payload.0${ID}`, `lxc.payload.${ID}-x`, `lxc.pivot.${ID}`, ID];
  const paths = others.map((name) => made.cgroup(name));
  const pid = await made.processIn(paths[0] ?? '');
  await removeCgroups(ID);
  for (const path of paths) assert.ok(existsSync(path), path);
  assert.ok(existsSync(`/proc/${pid}`));
});

test('removeCgroups() looks below the cgroup of this process, too', async (t) => {
  const made = new Made(t);
  const before = ownCgroup();
  const own = made.cgroup(`tsdock-test-${process.pid}`);
  const payload = made.cgroup(`tsdock-test-${process.pid}`, `lxc.payload.${ID}`);
  writeFileSync(join(own, 'cgroup.procs'), String(process.pid));
  try {
    await removeCgroups(ID);
  } finally {
    writeFileSync(join(before, 'cgroup.procs'), String(process.pid));
  }
  assert.ok(!existsSync(payload));
});

test('findCgroups() finds them wherever they are, those of old versions of LXC as well', async (t) => {
  const made = new Made(t);
  const top = `tsdock-test-${process.pid}`;
  made.cgroup(top);
  made.cgroup(top, 'lxc');
  const paths = [
    made.cgroup(top, 'lxc', ID),
    made.cgroup(top, `lxc.payload.${ID}-12`),
    made.cgroup(`lxc.monitor.${ID}`),
  ];
  const found = await findCgroups(new Set([ID, 'nosuch']));
  assert.deepEqual([...found.keys()], [ID]);
  assert.deepEqual((found.get(ID) ?? []).map(({ path }) => path).sort(), paths.sort());
  assert.deepEqual(await findCgroups(new Set()), new Map());
});

test('endCgroups() ends frozen processes, and tells which', async (t) => {
  const made = new Made(t);
  const path = made.cgroup(`lxc.payload.${ID}`);
  const inner = made.cgroup(`lxc.payload.${ID}`, 'inner');
  const pids = [await made.processIn(path), await made.processIn(inner)];
  for (const each of [path, inner]) await new Freezer(ID, each, isUnified(each)).freeze();
  const cgroup = { path, isUnified: isUnified(path) };
  assert.deepEqual((await endCgroups(ID, [cgroup])).sort(), pids.sort());
  assert.ok(!existsSync(path));
  assert.deepEqual(await endCgroups(ID, [cgroup]), [], 'it has gone');
});
