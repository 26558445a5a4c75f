// Daemons that belong to one test, and end with it.

import type { TestContext } from 'node:test';
import { TestDaemon, type TestDaemonOptions } from './harness.js';
import { TestMachine } from './network/test-machine.js';

/** A daemon that is closed at the end of the test. */
export async function startDaemon(t: TestContext, options: TestDaemonOptions = {}): Promise<TestDaemon> {
  const daemon = await TestDaemon.start(options);
  t.after(() => daemon.close());
  return daemon;
}

/** A daemon with a network, on a machine of its own; both are closed at the end of the test. */
export async function startMachine(t: TestContext): Promise<{ machine: TestMachine; daemon: TestDaemon }> {
  const machine = await TestMachine.start();
  const daemon = await TestDaemon.start({ network: machine });
  t.after(async () => {
    try {
      await daemon.close();
    } finally {
      await machine.close();
    }
  });
  return { machine, daemon };
}
