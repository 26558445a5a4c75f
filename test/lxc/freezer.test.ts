// Freezing a cgroup: the right one, all of it, and not for good. Both versions of cgroups, where the kernel has them here.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { findCgroup, Freezer } from '../../src/lxc/freezer.js';
import { until } from '../harness.js';

const ID = '0a1b2c3d';
const V1_MOUNT = '37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer';
const V2_MOUNT = '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw';
const MOUNTS = `23 1 0:2 / /sys rw - sysfs sysfs rw\n${V1_MOUNT}\n${V2_MOUNT}\n`;

test('findCgroup() prefers the freezer of v1, and takes v2 where that is all', () => {
  const v1 = `6:freezer:/lxc.payload.${ID}\n1:cpu,cpuacct:/lxc.payload.${ID}\n0::/lxc.payload.${ID}\n`;
  assert.deepEqual(findCgroup(ID, v1, MOUNTS), {
    folder: `/sys/fs/cgroup/freezer/lxc.payload.${ID}`,
    isUnified: false,
  });
  assert.deepEqual(findCgroup(ID, `0::/lxc.payload.${ID}\n`, MOUNTS), {
    folder: `/sys/fs/cgroup/unified/lxc.payload.${ID}`,
    isUnified: true,
  });
  assert.equal(findCgroup(ID, v1, V2_MOUNT), undefined, 'the freezer of v1 is not mounted');
});

test('findCgroup() finds the container wherever LXC has put it, and whole', () => {
  for (const [inTree, folder] of [
    [`/lxc.payload.${ID}/init.scope/deep`, `lxc.payload.${ID}`],
    [`/lxc.payload.${ID}-1`, `lxc.payload.${ID}-1`],
    [`/system.slice/tsdock.service/lxc.payload.${ID}`, `system.slice/tsdock.service/lxc.payload.${ID}`],
    [`/lxc/${ID}`, `lxc/${ID}`],
  ] as const)
    assert.equal(findCgroup(ID, `6:freezer:${inTree}\n`, MOUNTS)?.folder, `/sys/fs/cgroup/freezer/${folder}`);
  const inside = '37 31 0:34 /docker/abc /a\\040b rw - cgroup cgroup rw,freezer';
  assert.equal(
    findCgroup(ID, `6:freezer:/docker/abc/lxc.payload.${ID}\n`, inside)?.folder,
    `/a b/lxc.payload.${ID}`,
    'a mount that begins below the root',
  );
});

test("findCgroup() takes nobody else's cgroup", () => {
  for (const inTree of ['/', '/user.slice', `/lxc.monitor.${ID}`, `/lxc.payload.${ID}0`, '/lxc.payload.00000000'])
    assert.equal(findCgroup(ID, `6:freezer:${inTree}\n0::${inTree}\n`, MOUNTS), undefined, inTree);
});

/** A cgroup with a process in it that counts, and one more in a cgroup below. Skips where the tree is not mounted. */
function makeCgroup(t: TestContext, tree: string): { cgroup: string; counts: () => number[] } | undefined {
  if (!existsSync(join(tree, 'cgroup.procs'))) {
    t.skip(`${tree} is not there`);
    return undefined;
  }
  const cgroup = join(tree, `tsdock-test-${process.pid}`);
  const children: ChildProcess[] = [];
  const read = [0, 0];
  const inner = join(cgroup, 'inner');
  for (const [index, folder] of [cgroup, inner].entries()) {
    mkdirSync(folder);
    const child = spawn('sh', ['-c', 'while :; do echo; sleep 0.01; done'], { stdio: ['ignore', 'pipe', 'ignore'] });
    children.push(child);
    child.stdout.on('data', (chunk: Buffer) => (read[index] = (read[index] ?? 0) + chunk.length));
    writeFileSync(join(folder, 'cgroup.procs'), String(child.pid));
  }
  t.after(async () => {
    new Freezer(ID, cgroup, existsSync(join(cgroup, 'cgroup.freeze'))).thaw();
    for (const child of children) child.kill('SIGKILL');
    await until(() => [cgroup, inner].every((path) => readFileSync(join(path, 'cgroup.procs'), 'utf8') === ''), 'all end'); // prettier-ignore
    rmdirSync(inner);
    rmdirSync(cgroup);
  });
  return { cgroup, counts: () => [...read] };
}

/** Whether all counters go on. */
async function goOn(counts: () => number[]): Promise<void> {
  const before = counts();
  await until(() => counts().every((count, i) => count > (before[i] ?? 0)), 'all go on');
}

for (const [version, tree, isUnified] of [
  ['v1', '/sys/fs/cgroup/freezer', false],
  ['v2', existsSync('/sys/fs/cgroup/unified') ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup', true],
] as const) {
  test(`Freezer.freeze() and thaw() stop and start all processes, also those further down (${version})`, async (t) => {
    const made = makeCgroup(t, tree);
    if (made === undefined) return;
    const freezer = new Freezer(ID, made.cgroup, isUnified);
    await goOn(made.counts);
    for (let round = 0; round < 3; round++) {
      assert.equal(await freezer.freeze(), true);
      await new Promise((resolve) => setTimeout(resolve, 50)); // what was printed before arrives
      const before: number[] = made.counts();
      await new Promise((resolve) => setTimeout(resolve, 200));
      assert.deepEqual(made.counts(), before);
      freezer.thaw();
      await goOn(made.counts);
    }
  });

  test(`Freezer.freeze() says when somebody else froze it already (${version})`, async (t) => {
    const made = makeCgroup(t, tree);
    if (made === undefined) return;
    assert.equal(await new Freezer(ID, made.cgroup, isUnified).freeze(), true);
    assert.equal(await new Freezer(ID, made.cgroup, isUnified).freeze(), false);
  });
}

test('Freezer of a cgroup that has gone freezes nothing and thaws nothing', async () => {
  for (const isUnified of [false, true]) {
    const freezer = new Freezer(ID, '/sys/fs/cgroup/nosuch', isUnified);
    assert.equal(freezer.isThere, false);
    assert.equal(await freezer.freeze(), false);
    freezer.thaw();
  }
  assert.equal(Freezer.of(ID, process.pid), undefined);
  assert.equal(Freezer.named(ID), undefined);
});
