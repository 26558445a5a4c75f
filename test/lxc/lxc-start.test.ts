import test from 'node:test';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findLxcStarts } from '../../src/lxc/lxc-start.js';

// perl, since it passes over what it does not know of its arguments; it says when it is there.
const POSE = 'exec -a lxc-start perl -e \'$| = 1; print "there"; sleep 60\' -- -P "$0" -n c0ffee00';

const posing: [who: string, enter: string[], isFound: boolean][] = [
  ['of this user', ['env'], true],
  ['of another user', ['setpriv', '--reuid=65534', '--clear-groups'], false],
  ['in a container', ['unshare', '--pid', '--fork', '--kill-child'], false],
];
for (const [who, enter, isFound] of posing) {
  test(`findLxcStarts(): a process ${who} with the command line of lxc-start is ${isFound ? '' : 'not '}one`, async () => {
    const lxcPath = `/tmp/containers of ${process.pid}`;
    const [command = '', ...args] = enter;
    const child = spawn(command, [...args, 'bash', '-c', POSE, lxcPath], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await once(child.stdout, 'data');
      assert.deepEqual([...findLxcStarts(lxcPath).keys()], isFound ? ['c0ffee00'] : []);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });
}
