// The package that `npm pack` makes, installed into an empty folder and run there.

import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { temporaryFolder } from './archive/tar-builder.js';
import { cleanUp, until } from './harness.js';

const TOP = fileURLToPath(new URL('../../', import.meta.url));

test('npm pack: the package installs into an empty folder, and npx tsdock is the daemon and its client', async (t) => {
  const folder = temporaryFolder(t);
  const data = join(folder, 'data');
  t.after(() => cleanUp(data));
  // Without its scripts: the build would replace what other tests run.
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder], { cwd: TOP });
  const [archive = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  const options = ['--silent', '--no-audit', '--no-fund', '--prefer-offline', '--fetch-retries', '5'];
  execFileSync('npm', ['install', ...options, '--prefix', folder, join(folder, archive)]);

  const npx = ['--prefix', folder, 'tsdock'];
  const socket = join(folder, 'socket');
  const words = ['-d', '-g', data, '-H', `unix://${socket}`, '--http', 'off', '--bridge', 'none'];
  const daemon = spawn(join(folder, 'node_modules/.bin/tsdock'), words, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.after(() => daemon.kill('SIGKILL'));
  let said = '';
  daemon.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(() => / on unix .*: data /.test(said), 'the daemon listens');
  const env = { ...process.env, DOCKER: `unix://${socket}` };
  assert.match(execFileSync('npx', [...npx, 'version'], { env, encoding: 'utf8' }), /^tsdock \d+\.\d+\.\d+\n/);
  daemon.kill('SIGTERM');
  await once(daemon, 'close');
});
