// One real run from end to end: what is also tried on the other version of node.

import test from 'node:test';
import assert from 'node:assert/strict';
import { TestDaemon } from './harness.js';

test('tsdock run prints what the program prints, and exits with its status', async () => {
  const daemon = await TestDaemon.start();
  try {
    const { status, stdout, stderr } = await daemon.tsdock([
      'run',
      'base',
      'sh',
      '-c',
      'echo out; echo err >&2; exit 3',
    ]);
    assert.deepEqual({ status, stdout, stderr }, { status: 3, stdout: 'out\n', stderr: 'err\n' });
    assert.match(await daemon.call('ps', '-a'), /Exit 3/);
  } finally {
    await daemon.close();
  }
});
