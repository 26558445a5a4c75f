// Container.whileFrozen() on real containers: nothing moves meanwhile, what would stop or start it waits, and it is thawed
// whatever happens.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Container } from '../../src/container/container.js';
import { containerInit } from '../../src/lxc/container-init.js';
import { findCgroup } from '../../src/lxc/freezer.js';
import { cgroupsOf, mountsBelow, processesOf, until, whatStays } from '../harness.js';
import { openContainers, type OpenContainers } from './open-containers.js';

const COUNT = 'trap "echo term; exit 7" TERM; while :; do echo x; usleep 2000; done';

let directory = '';
let open: OpenContainers;
const ids: string[] = [];
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tsdock-test-'));
  open = await openContainers(directory);
});
after(async () => {
  for (const container of open.containers.list()) await open.containers.destroy(container, true);
  await open.close();
  const left = await whatStays(() => [...mountsBelow(directory), ...processesOf(directory), ...cgroupsOf(ids)]);
  await rm(directory, { recursive: true, force: true });
  assert.deepEqual(left, [], 'left behind');
});

/** A container that prints all the time. */
async function startCounter(script = COUNT): Promise<Container> {
  const container = await open.run('sh', '-c', script);
  ids.push(container.id);
  await goesOn(container);
  return container;
}
const printed = ({ root, id }: Container): number => statSync(join(root, `${id}-stdout.log`)).size;
async function goesOn(container: Container): Promise<void> {
  const before = printed(container);
  await until(() => printed(container) > before, 'it goes on');
}
/** Nothing more comes once what was printed before has arrived: what runs prints a hundred lines in that time. */
async function standsStill(container: Container): Promise<void> {
  await until(async () => {
    const before = printed(container);
    await sleep(200);
    return printed(container) === before;
  }, 'it prints nothing for a while');
}
/** The container's own cgroup, for what a person does to it. */
function cgroupOf({ id, state }: Container): { folder: string; isUnified: boolean } {
  const init = containerInit(state.pid) ?? 0;
  const found = findCgroup(
    id,
    readFileSync(`/proc/${init}/cgroup`, 'utf8'),
    readFileSync('/proc/self/mountinfo', 'utf8'),
  );
  assert.ok(found !== undefined);
  return found;
}
function freezeByHand(container: Container, isOn: boolean): void {
  const { folder, isUnified } = cgroupOf(container);
  if (isUnified) writeFileSync(join(folder, 'cgroup.freeze'), isOn ? '1' : '0');
  else writeFileSync(join(folder, 'freezer.state'), isOn ? 'FROZEN' : 'THAWED');
}
/** Whether a promise is still open after a while. */
async function isPending(promise: Promise<unknown>): Promise<boolean> {
  return (await Promise.race([promise.then(() => 'done'), sleep(300, 'open')])) === 'open';
}

test('whileFrozen() stops everything in the container while the body runs, and resolves with what that does', async () => {
  const container = await startCounter(`(${COUNT}) & (${COUNT}) & wait`);
  assert.equal(await container.whileFrozen(async () => {
    await standsStill(container);
    assert.ok(existsSync(join(container.root, 'frozen')));
    return 'done';
  }), 'done'); // prettier-ignore
  await goesOn(container);
  assert.ok(!existsSync(join(container.root, 'frozen')));
  assert.equal(open.atExit.size, 0);
});

test('whileFrozen() freezes processes in cgroups that the container made', async () => {
  const container = await startCounter('(while :; do echo x; usleep 2000; done) & wait');
  const { folder } = cgroupOf(container);
  const inner = join(folder, 'inner');
  mkdirSync(inner);
  const init = containerInit(container.state.pid) ?? 0;
  const [child = ''] = readFileSync(`/proc/${init}/task/${init}/children`, 'utf8').split(' ');
  writeFileSync(join(inner, 'cgroup.procs'), child);
  await container.whileFrozen(() => standsStill(container));
  await goesOn(container);
});

test('whileFrozen() thaws when the body fails, and tells its error', async () => {
  const container = await startCounter();
  await assert.rejects(
    container.whileFrozen(() => Promise.reject(new Error('no'))),
    { message: 'no' },
  );
  await assert.rejects(container.whileFrozen(() => { throw new Error('at once'); }), { message: 'at once' }); // prettier-ignore
  await goesOn(container);
});

test('whileFrozen() of a stopped container runs the body, and a start waits for it', async () => {
  const container = await startCounter();
  await container.kill();
  let started: Promise<void> | undefined;
  await container.whileFrozen(async () => {
    started = container.start();
    assert.ok(await isPending(started));
    assert.ok(!container.state.isRunning);
  });
  await started;
  await container.kill();
});

test('whileFrozen() of a container that has only just been started freezes the program, not LXC', async () => {
  for (let round = 0; round < 10; round++) {
    const container = await open.run('sh', '-c', 'echo x; exit 5');
    ids.push(container.id);
    await container.whileFrozen(() => Promise.resolve());
    assert.equal(await container.wait(), 5);
  }
});

test('whileFrozen() of one container several times at once takes turns', async () => {
  const container = await startCounter();
  let running = 0;
  await Promise.all([1, 2, 3].map(() => container.whileFrozen(async () => {
    assert.equal(++running, 1);
    await standsStill(container);
    running--;
  }))); // prettier-ignore
  await goesOn(container);
});

for (const [name, act, status] of [
  ['kill', (container: Container) => container.kill(), -1],
  ['stop', (container: Container) => container.stop(), 7],
] as const) {
  test(`${name} of a frozen container waits until it is thawed, and then works as ever`, async () => {
    const container = await startCounter();
    let ended: Promise<void> | undefined;
    await container.whileFrozen(async () => {
      ended = act(container);
      assert.ok(await isPending(ended));
      await sleep(2_500); // longer than a killed program may take
      assert.ok(container.state.isRunning);
    });
    await ended;
    assert.equal(container.state.exitCode, status);
  });
}

test('stop does not count the time in which the container is frozen', async () => {
  const container = await startCounter('trap "sleep 0.5; exit 7" TERM; while :; do echo x; usleep 2000; done');
  const stopped = container.stop(2);
  await container.whileFrozen(() => sleep(3_000));
  await stopped;
  assert.equal(container.state.exitCode, 7);
});

test('restart and rm of a frozen container wait until it is thawed', async () => {
  const container = await startCounter();
  let restarted: Promise<void> | undefined;
  await container.whileFrozen(async () => {
    restarted = container.restart();
    assert.ok(await isPending(restarted));
  });
  await restarted;
  await goesOn(container);
  for (const isForced of [true, false]) {
    const other = await startCounter();
    let removed: Promise<void> | undefined;
    await other.whileFrozen(async () => {
      removed = open.containers.destroy(other, isForced);
      assert.ok(await isPending(removed));
      assert.ok(existsSync(join(other.root, 'config.json')));
    });
    await removed;
    assert.equal(open.containers.get(other.id), undefined);
    await assert.rejects(
      other.whileFrozen(() => Promise.resolve()),
      { message: `No such container: ${other.id}` },
    );
  }
});

test('rm of a stopped container waits for whileFrozen()', async () => {
  const container = await open.run('true');
  ids.push(container.id);
  await container.wait();
  let removed: Promise<void> | undefined;
  await container.whileFrozen(async () => {
    removed = open.containers.destroy(container);
    assert.ok(await isPending(removed));
    assert.ok(existsSync(join(container.root, 'config.json')));
  });
  await removed;
});

test('whileFrozen() during a kill finds a stopped container', async () => {
  const container = await startCounter();
  const killed = container.kill();
  await container.whileFrozen(async () => assert.ok(!container.state.isRunning));
  await killed;
});

test('whileFrozen() of a container that a person has frozen leaves it frozen, and kill ends it all the same', async () => {
  const container = await startCounter();
  freezeByHand(container, true);
  await container.whileFrozen(() => standsStill(container));
  await standsStill(container);
  assert.ok(!existsSync(join(container.root, 'frozen')));
  freezeByHand(container, false);
  await goesOn(container);
  freezeByHand(container, true);
  const began = performance.now();
  await container.kill();
  assert.equal(container.state.exitCode, -1);
  assert.ok(performance.now() - began < 1_900, 'not by the last resort');
});

test('a process that is killed while it has a container frozen: the next one thaws it', async () => {
  const [frozen, byHand] = [await startCounter(), await startCounter()];
  freezeByHand(byHand, true);
  await open.close();
  const program = fileURLToPath(new URL('freeze-and-hang.js', import.meta.url));
  const child = spawn(process.execPath, [program, directory, frozen.id], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  await standsStill(frozen);
  open = await openContainers(directory);
  const adopted = [frozen.id, byHand.id].map((id) => open.containers.get(id));
  const [thawed, left] = adopted;
  assert.ok(thawed !== undefined && left !== undefined);
  await goesOn(thawed);
  await standsStill(left);
  await thawed.kill();
  await left.kill();
});

test('a process that ends by itself while it has a container frozen thaws it', async () => {
  const container = await startCounter();
  await open.close();
  const program = fileURLToPath(new URL('freeze-and-hang.js', import.meta.url));
  const child = spawn(process.execPath, [program, directory, container.id], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  await standsStill(container);
  child.kill('SIGTERM');
  await once(child, 'close');
  const { folder, isUnified } = cgroupOf(container);
  const state = readFileSync(join(folder, isUnified ? 'cgroup.freeze' : 'freezer.state'), 'utf8').trim();
  assert.equal(state, isUnified ? '0' : 'THAWED');
  open = await openContainers(directory);
  const adopted = open.containers.get(container.id);
  assert.ok(adopted !== undefined);
  await goesOn(adopted);
});
