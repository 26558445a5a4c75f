// The names in the folder of a container: which of them tell of work that was not finished.

import assert from 'node:assert/strict';
import test from 'node:test';
import { isFolderFinished } from '../../src/container/container-folder.js';

const ID = '0123abcd';
/** What a run with a network leaves. */
const STOPPED = [
  ...['config.json', 'userdata.json', 'config.lxc', 'lxc.log', 'hosts', 'hostname', 'resolv.conf', 'rw.driver'],
  ...['rootfs', 'rw', 'work', `${ID}-stdout.log`, `${ID}-stderr.log`, `${ID}-order.log`, `${ID}-order.log.1`],
];

test('isFolderFinished() is true for what a stopped container has', () => {
  assert.ok(isFolderFinished(ID, STOPPED));
  assert.ok(isFolderFinished(ID, []));
});

test('isFolderFinished() is false with anything else, known or not', () => {
  for (const name of [
    ...['.tmp-01234567-config.json', 'rw.next', 'vfs.manifest', 'vfs.manifest.next', 'frozen', 'signal'],
    ...['stdin', 'stdout', 'stderr', '89abcdef-stdout.log', 'config.json.damaged', 'something'],
  ]) {
    assert.ok(!isFolderFinished(ID, [...STOPPED, name]), name);
  }
});
