// A data directory that an original wrote (2013, both of them, on aufs) opens here, wherever it lies, on every driver: what
// is in it can be used, what is not known in it is kept, and what is written there an original could read again.
//
// The archives in data/ are /var/lib/docker as the originals left it, with a few bytes in place of busybox: it is put back.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before, describe } from 'node:test';
import { fileURLToPath } from 'node:url';
import { busybox } from '../fixture.js';
import { TestDaemon, until } from '../harness.js';
import { TestMachine } from '../network/test-machine.js';
import { readAsGo } from './go-reader.js';
import { INDEX, JANUARY_CONTAINER, MARCH_CONTAINER, USER_DATA } from './original-structs.js';

const ARCHIVES = fileURLToPath(new URL('../../../test/server/data', import.meta.url));

/** A key that a newer version, or a person, has left. */
const LATER = '"Later":{"443":"a","80":"b"}';

interface Original {
  archive: string;
  base: string;
  app: string;
  /** `echo changed > /data/one; rm /data/two; mkdir /new; echo n > /new/f` in base */
  changed: string;
  changedStatus: number;
  /** `cat /data/one /new/f` in app */
  reader: string;
  /** one that only one of them has; `again`: its logs after another run */
  own: { id: string; status: number; comment: string; logs: string; again: string; diff: string };
}

const ORIGINALS: readonly Original[] = [
  {
    archive: 'january',
    base: 'base:53a3131a8f5f9342',
    app: 'app:7fb95b28d7887e52',
    changed: '22a872bd',
    changedStatus: 3,
    reader: '895e338f',
    own: {
      id: '6a28fe7f',
      status: 0,
      comment: '',
      logs: '',
      again: "rm: can't remove '/data/dir': No such file or directory\nln: /data/sl: File exists\n",
      diff: 'C /data\nD /data/dir\nC /data/hello\nA /data/sl\n',
    },
  },
  {
    archive: 'march',
    base: 'base:ae8fa08413989060',
    app: 'app:e715e662becd3746',
    changed: '2dfab335',
    changedStatus: 0,
    reader: '1d38f9ae',
    own: {
      id: 'eea35fe9',
      status: 3,
      comment: 'first one',
      logs: 'out\nerr\n',
      again: 'out\nout\nerr\nerr\n',
      diff: '',
    },
  },
];
const CHANGES = 'C /data\nD /data/two\nC /data/one\nA /new\nA /new/f\n';

for (const original of ORIGINALS)
  for (const driver of ['overlay', 'vfs'])
    describe(`the data of ${original.archive} on ${driver}`, () => openAndUse(original, driver));

/** The tests of one archive on one driver. */
function openAndUse(original: Original, driver: string): void {
  const { archive, base, app, changed, reader, own } = original;
  let folder = '';
  let machine: TestMachine | undefined;
  let daemon: TestDaemon;
  const start = (directory: string): Promise<TestDaemon> =>
    TestDaemon.start({
      directory,
      withImage: false,
      args: ['--driver', driver],
      ...(machine === undefined ? {} : { network: machine }),
    });
  const path = (...names: string[]): string => join(daemon.directory, ...names);
  const json = (...names: string[]): Record<string, unknown> =>
    JSON.parse(readFileSync(path(...names), 'utf8')) as Record<string, unknown>; // an object, or the test fails

  before(async () => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'tsdock-test-original-')));
    execFileSync('tar', ['-xzf', join(ARCHIVES, `${archive}.tar.gz`), '-C', folder]);
    const directory = join(folder, 'docker');
    copyFileSync(busybox(), join(directory, 'images/layers', base.slice('base:'.length), 'bin/busybox'));
    plantUnknownKeys(directory);
    if (archive === 'march') machine = await TestMachine.start(); // its containers have a network, and ports
    daemon = await start(directory);
  });
  after(async () => {
    try {
      await daemon.close();
      await machine?.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test('images, ps -a and inspect show it, with the paths of today', async () => {
    assert.equal(await daemon.call('images', '-q'), `${app}\n${base}\n${app.replace('app', 'renamed')}\n`);
    assert.match(await daemon.call('images'), new RegExp(`^renamed +renamed:\\w{16}\\.\\.\\. .* ago +${app}$`, 'm'));
    const table = await daemon.call('ps', '-a');
    assert.match(
      table,
      new RegExp(`^${changed} +${base} +/bin/sh -c echo chan +.* ago +Exit ${original.changedStatus} `, 'm'),
    );
    assert.match(table, new RegExp(`^${reader} +${app} +/bin/cat /data/one / +.* ago +Exit 0 `, 'm'));
    assert.match(table, new RegExp(`^${own.id} +${base} +.* ago +Exit ${own.status} +${own.comment}$`, 'm'));
    const { Id, Root, Created, State } = JSON.parse(await daemon.call('inspect', own.id)) as Record<string, unknown>; // a record
    assert.deepEqual([Id, Root], [own.id, path('containers', own.id)]);
    const written = json('containers', own.id, 'config.json');
    assert.equal(Created, written['Created'], 'to the nanosecond');
    assert.equal((State as { StartedAt: string }).StartedAt, (written['State'] as { StartedAt: string }).StartedAt);
    assert.match(await daemon.call('inspect', app), new RegExp(`"${path('images/layers')}/\\w{16}"`));
  });

  test('logs, diff, cat and ls show what was printed and changed', async () => {
    assert.equal(await daemon.call('logs', own.id), own.logs);
    assert.equal(await daemon.call('diff', changed), CHANGES);
    assert.equal(await daemon.call('diff', own.id), own.diff);
    assert.equal(await daemon.call('diff', reader), '');
    assert.equal(await daemon.call('cat', changed, '/data/one'), 'changed\n');
    const names = (await daemon.call('ls', changed, '/data')).split('\n');
    assert.deepEqual([names.includes('two'), names.includes('one')], [false, true]);
    assert.equal(await daemon.call('diff', changed), CHANGES, 'also once it has the form of the driver');
  });

  test('commit and run see the changes and the deletions', async () => {
    assert.match(await daemon.call('commit', changed, 'kept'), /^kept:[0-9a-f]{16}\n$/);
    const script = 'cat /data/one /new/f; ls /data/two 2>/dev/null || echo gone';
    for (const image of ['kept', 'app', 'renamed'])
      assert.equal(await daemon.call('run', '-a', image, 'sh', '-c', script), 'changed\nn\ngone\n', image);
    assert.equal(await daemon.call('run', '-a', 'base', 'cat', '/data/one', '/data/two'), 'one\ntwo\n');
  });

  test('start goes on where a container ended, and its logs are appended to', async () => {
    const before = await daemon.call('logs', reader);
    assert.equal(await daemon.call('start', reader), `${reader}\n`);
    assert.equal(await daemon.stopped(reader), '0');
    assert.equal(await daemon.call('logs', reader), `${before}changed\nn\n`);
    assert.equal(await daemon.call('start', own.id), `${own.id}\n`);
    await daemon.stopped(own.id);
    assert.match(await daemon.call('ps', '-a'), new RegExp(`^${own.id} .* Exit ${own.status} `, 'm'));
    assert.equal(await daemon.call('logs', own.id), own.again);
  });

  test('keys that are not known here survive a rewrite', async () => {
    const times = (file: string): number => readFileSync(file, 'utf8').split(LATER).length - 1;
    assert.match(readFileSync(path('containers', reader, 'config.json'), 'utf8'), /"Term":/, 'it is ours by now');
    assert.equal(times(path('containers', reader, 'config.json')), 4);
    assert.equal(await daemon.call('cp', 'app', 'copy'), `copy${app.slice('app'.length)}\n`);
    assert.equal(times(path('images/index.json')), 3);
  });

  test('a container that ran when the original was killed has ended, whoever has its pid now', async () => {
    assert.equal(await daemon.end(), 0);
    const file = path('containers', own.id, 'config.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace(/"Running":false,"Pid":0/, `"Running":true,"Pid":${process.pid}`));
    await daemon.begin();
    assert.match(await daemon.call('ps', '-a'), new RegExp(`^${own.id} .* Exit -?\\d+ `, 'm'));
    assert.equal(await daemon.call('start', own.id), `${own.id}\n`);
    assert.equal(await daemon.stopped(own.id), String(own.status));
  });

  test('it opens again where it has been moved to, and rm takes containers away', async () => {
    await daemon.call('umount', changed); // looked into above, and still mounted
    assert.equal(await daemon.end(), 0);
    await machine?.clean(daemon.directory); // its bridge bears the name of the directory
    renameSync(daemon.directory, join(folder, 'moved'));
    daemon = await start(join(folder, 'moved'));
    assert.equal(await daemon.call('diff', changed), CHANGES);
    assert.equal(await daemon.call('run', '-a', 'kept', 'cat', '/data/one'), 'changed\n');
    assert.equal(await daemon.call('rm', changed), '');
    assert.ok(!existsSync(path('containers', changed)));
    assert.equal(await daemon.call('rmi', 'renamed'), '');
    assert.doesNotMatch(await daemon.call('images'), /^renamed/m);
  });

  test('an original could read all that was written', async () => {
    await daemon.call('run', '-c', '<a> & b', '-u', 'root', '-t', '-i', 'base', '/bin/sh', '-c', 'exit 7 # \u2028 é');
    await daemon.call('run', 'base', 'true');
    const running = (await daemon.call('run', 'base', 'sleep', '100')).trim();
    readAsGo(readFileSync(path('images/index.json'), 'utf8'), INDEX);
    for (const id of readdirSync(path('containers'))) {
      const config = readFileSync(path('containers', id, 'config.json'), 'utf8');
      // What was not started yet stands there as the original wrote it.
      for (const type of config.includes('"User"') ? [JANUARY_CONTAINER, MARCH_CONTAINER] : [JANUARY_CONTAINER])
        readAsGo(config, type);
      readAsGo(readFileSync(path('containers', id, 'userdata.json'), 'utf8'), USER_DATA);
    }
    assert.equal(await daemon.call('kill', running), '');
    const killed = (): string => readFileSync(path('containers', running, 'config.json'), 'utf8');
    await until(() => killed().includes('"ExitCode":-1'), 'the end is on disk');
    readAsGo(killed(), MARCH_CONTAINER);
  });
}

/** Puts it into each struct of config.json, and into index.json and its image `app`. */
function plantUnknownKeys(directory: string): void {
  for (const id of readdirSync(join(directory, 'containers'))) {
    const file = join(directory, 'containers', id, 'config.json');
    const text = readFileSync(file, 'utf8').replace(/"(Config|Filesystem|State)":\{/g, `$&${LATER},`);
    writeFileSync(file, text.replace(/\}$/, `,${LATER}}`));
  }
  const file = join(directory, 'images/index.json');
  const text = readFileSync(file, 'utf8').replace(/"Id":"app:/g, `${LATER},$&`);
  writeFileSync(file, text.replace(/\}$/, `,${LATER}}`));
}
