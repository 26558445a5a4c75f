// Programs that are started by posix_spawn(3).

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { Poller } from '../../src/linux/poller.js';
import { isProcessAlive, pidfdSendSignal, withPidfd } from '../../src/linux/process.js';
import { processExit } from '../../src/linux/process-exit.js';
import { reap, spawnProgram } from '../../src/linux/spawn.js';
import { temporaryFolder } from '../archive/tar-builder.js';

/** Runs a shell, and resolves with what it printed. */
async function output(t: TestContext, script: string, env: Record<string, string> = {}): Promise<string> {
  const path = join(temporaryFolder(t), 'output');
  const file = openSync(path, 'w');
  const pid = await spawnProgram({ args: ['sh', '-c', script], env, stdio: ['ignore', file, file] });
  closeSync(file);
  await ended(t, pid);
  return readFileSync(path, 'utf8');
}

async function ended(t: TestContext, pid: number): Promise<void> {
  const poller = new Poller();
  t.after(() => poller.close());
  await processExit(poller, pid);
}

test('spawnProgram() gives a program its arguments, its environment and no other, and the root directory', async (t) => {
  const printed = await output(t, 'echo "$0 $A"; pwd; tr "\\0" "\\n" </proc/$$/environ', { A: 'a b=c', B: '' });
  assert.equal(printed, 'sh a b=c\n/\nA=a b=c\nB=\n');
});

test('spawnProgram() hands on the descriptors that it is told, and /dev/null for what is ignored', async (t) => {
  const secret = openSync('/dev/zero', 'r');
  t.after(() => closeSync(secret));
  const printed = await output(t, 'echo error >&2; exec readlink /proc/self/fd/*');
  const [error, stdin, ...others] = printed.trimEnd().split('\n');
  assert.deepEqual([error, stdin], ['error', '/dev/null']);
  assert.ok(!others.includes('/dev/zero'), printed);
});

test('spawnProgram() starts a session, with no signal ignored or blocked', async (t) => {
  const ignored = /^SigIgn:\s*(\w+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  assert.notEqual(ignored, '0000000000000000', 'node ignores SIGPIPE');
  const printed = await output(
    t,
    'cut -d" " -f6 /proc/$$/stat; echo $$; exec grep -E "^Sig(Ign|Blk)" /proc/self/status',
  );
  const [session, pid, blocked = '', ignoredInside = ''] = printed.trimEnd().split('\n');
  assert.match(blocked, /^SigBlk:\s*0+$/);
  assert.match(ignoredInside, /^SigIgn:\s*0+$/);
  assert.equal(session, pid);
});

test('spawnProgram() says why there is no process', async () => {
  const start = (args: string[]): Promise<number> => spawnProgram({ args, env: {}, stdio: [] });
  await assert.rejects(start(['no-such-program']), { code: 'ENOENT', path: 'no-such-program' });
  await assert.rejects(start(['/dev/null']), { code: 'EACCES' });
  await assert.rejects(start(['true', 'x'.repeat(200_000)]), { code: 'E2BIG' });
});

test('processExit() reaps a program that was spawned, and reap() leaves one that runs or is not ours alone', async (t) => {
  const pid = await spawnProgram({ args: ['sleep', 'infinity'], env: {}, stdio: [] });
  t.after(() => withPidfd(pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGKILL')));
  reap(process.ppid);
  assert.ok(isProcessAlive(pid));
  const exit = ended(t, pid);
  withPidfd(pid, (pidfd) => pidfdSendSignal(pidfd, 'SIGKILL'));
  await exit;
  assert.throws(() => readlinkSync(`/proc/${pid}/cwd`), { code: 'ENOENT' }, 'it has no entry any more');
});
