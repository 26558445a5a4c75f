// One daemon a directory, by whatever name the second one knows it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import test from 'node:test';
import { PROGRAM, TestDaemon } from '../harness.js';

/** What a second daemon says to the directory. */
function refusal(directory: string, cwd = '/'): string {
  const args = [PROGRAM, '-d', '-g', directory, '--bridge', 'none', '-H', '127.0.0.1:0', '--http', 'off'];
  const { status, stderr } = spawnSync(process.execPath, args, { timeout: 20_000, cwd });
  assert.equal(status, 1, stderr.toString());
  return stderr.toString();
}

test('a second daemon is refused by every name of the directory, and names the first', async () => {
  const daemon = await TestDaemon.start();
  const names = mkdtempSync(join(realpathSync(tmpdir()), 'tsdock-test-names-'));
  const [link, mounted] = [join(names, 'link'), join(names, 'mounted')];
  try {
    symlinkSync(daemon.directory, link);
    mkdirSync(mounted);
    execFileSync('mount', ['--bind', daemon.directory, mounted]);
    const { directory, pid } = daemon;
    const said = [
      refusal(directory),
      refusal(`${directory}/containers/..`),
      refusal(link),
      refusal(mounted),
      refusal(`./${basename(directory)}`, dirname(directory)),
    ];
    for (const line of said) {
      assert.match(
        line,
        new RegExp(`^tsdock: The data directory \\S+ is in use by process ${pid}: stop that daemon, [^\n]+\n$`),
      );
    }
    assert.match(await daemon.call('images'), /^base /m, 'the first one works on');
  } finally {
    spawnSync('umount', [mounted]);
    rmSync(names, { recursive: true });
    await daemon.close();
  }
});

test('the lock of a dead daemon is no obstacle, also where another process has its pid by now', async () => {
  const daemon = await TestDaemon.start({ withImage: false });
  for (const pid of ['', 'nonsense\n', `${process.pid}\n`, '1\n', '999999999\n']) {
    await daemon.end('SIGKILL');
    writeFileSync(join(daemon.directory, 'tsdock.lock'), pid);
    await daemon.begin();
    assert.match(refusal(daemon.directory), new RegExp(`in use by process ${daemon.pid}:`));
  }
  await daemon.close();
});
