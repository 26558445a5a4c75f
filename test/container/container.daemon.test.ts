// Containers without a daemon around them: whose record cannot be written, whose removal fails, or that end while they start.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, renameSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import type { Container } from '../../src/container/container.js';
import type { NetworkInterface } from '../../src/network/network-interface.js';
import type { NetworkManager } from '../../src/network/network-manager.js';
import { isTemporary } from '../../src/util/atomic-file.js';
import { cleanUp } from '../harness.js';
import { openContainers, type OpenContainers } from './open-containers.js';

async function open(t: TestContext, manager?: NetworkManager): Promise<OpenContainers> {
  const directory = await mkdtemp(join(tmpdir(), 'tsdock-test-'));
  const opened = await openContainers(directory, manager);
  t.after(async () => {
    await opened.close();
    cleanUp(directory);
  });
  return opened;
}

/** Lets nothing of a new container be on the disk for sure: one of its files cannot be opened. Returns what mends that. */
async function breakRecord(container: Container): Promise<() => Promise<void>> {
  const userData = join(container.root, 'userdata.json');
  const whole = `${userData}.whole`;
  renameSync(userData, whole);
  const server = createServer().listen(userData);
  await once(server, 'listening');
  return async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(userData, { force: true });
    renameSync(whole, userData);
  };
}

test('Container.save() has nothing under way any more when it has failed: the next one comes after it', async (t) => {
  const opened = await open(t);
  const container = await opened.create('true');
  const mend = await breakRecord(container);
  await assert.rejects(container.save(), { code: 'ENXIO' });
  assert.deepEqual(readdirSync(container.root).filter(isTemporary), []);
  assert.ok(container.isUnsynced);
  await mend();
  await container.save();
  assert.ok(!container.isUnsynced);
});

test('Container.start() of no program fails where the container is not on the disk: nobody is told its id', async (t) => {
  const opened = await open(t);
  const container = await opened.create('/bin/nothing');
  const mend = await breakRecord(container);
  await assert.rejects(container.start(), { code: 'ENXIO' });
  assert.ok(!container.state.isRunning);
  await mend();
  await container.start();
  assert.equal(container.state.exitCode, 127);
  assert.ok(!container.isUnsynced);
});

test('Container.kill() and Container.stop() end a container whose start is under way', async (t) => {
  const opened = await open(t);
  const container = await opened.create('sleep', '600');
  for (const end of [() => container.kill(), () => container.stop(0)]) {
    const starting = container.start();
    await end();
    await starting;
    assert.ok(!container.state.isRunning);
    assert.equal(container.state.exitCode, -1);
  }
});

test('Container.wait() waits for the end of a container whose start is under way', async (t) => {
  const opened = await open(t);
  const container = await opened.create('sh', '-c', 'exit 7');
  const starting = container.start();
  assert.equal(await container.wait(), 7);
  await starting;
});

test('Container.retire() gives back what was taken for the first run once, also where the removal fails and is tried again', async (t) => {
  const given = {} as NetworkInterface; // nobody looks at it
  let releases = 0;
  const manager = {
    isThere: true,
    ready: () => Promise.resolve(),
    allocate: () => Promise.resolve(given),
    release: () => {
      releases++;
      return Promise.resolve();
    },
  } as unknown as NetworkManager; // what a container that is never started needs of it
  const opened = await open(t, manager);
  const container = await opened.create('true');
  await container.retire(false);
  container.reinstate();
  await container.retire(true);
  assert.equal(releases, 1);
});
