// Damage to what lies on disk: whatever stands in the place of a file, the daemon starts, names it in its log and in `info`,
// keeps it under a name with the date, and has the rest.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import test from 'node:test';
import { findLxcStarts } from '../../src/lxc/lxc-start.js';
import { findAside } from '../../src/util/set-aside.js';
import { startDaemon, startMachine } from '../daemon-of-test.js';
import { TestDaemon, until } from '../harness.js';

/** What may lie in the place of a file. */
const IN_ITS_PLACE: Readonly<Record<string, (path: string) => void>> = {
  'a truncated file': (path) => writeFileSync(path, readFileSync(path, 'utf8').slice(0, 40)),
  'an empty file': (path) => writeFileSync(path, ''),
  'an array': (path) => writeFileSync(path, '[{"Id":"x"}]'),
  'a string': (path) => writeFileSync(path, '"../../etc"'),
  'the file of another program': (path) => writeFileSync(path, '{"Repositories":{"base":{"latest":"sha256:0123"}}}'),
  'bytes that are no text': (path) => writeFileSync(path, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d])),
  'a folder with something in it': (path) => put(path, () => mkdirSync(join(path, 'x'), { recursive: true })),
  'a link to nowhere': (path) => put(path, () => symlinkSync('/nowhere/at/all', path)),
  'a link to itself': (path) => put(path, () => symlinkSync(path, path)),
  'a link to a file of the host': (path) => put(path, () => symlinkSync('/etc/hostname', path)),
  'a FIFO': (path) => put(path, () => execFileSync('mkfifo', [path])),
  'a device': (path) => put(path, () => execFileSync('mknod', [path, 'c', '1', '5'])),
  'a file of a terabyte': (path) => truncateSync(path, 2 ** 40),
};

function put(path: string, make: () => void): void {
  rmSync(path, { force: true });
  make();
}

/** Starts the daemon again, with what `damage` does to its files in between. What its log says of that. */
async function restart(daemon: TestDaemon, damage: () => void, signal: NodeJS.Signals = 'SIGTERM'): Promise<string> {
  await daemon.end(signal);
  damage();
  const before = daemon.log.length;
  await daemon.begin();
  return daemon.log.slice(before);
}

async function run(daemon: TestDaemon, ...words: string[]): Promise<string> {
  const id = (await daemon.call('run', ...words)).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  return id;
}

function isThere(path: string): boolean {
  return readdirSync(join(path, '..')).includes(path.slice(path.lastIndexOf('/') + 1));
}

/** The one thing that was set aside of `path`, which the log and `info` name. Takes it away, and then `info` is silent. */
async function takeAside(daemon: TestDaemon, path: string, log: string): Promise<void> {
  const found = findAside(path);
  const [aside = ''] = found;
  assert.equal(found.length, 1, log);
  assert.match(aside, /\.damaged-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/);
  const line = `damage: ${aside} `;
  const told = log.split('\n').filter((each) => each.includes(line));
  assert.equal(told.length, 1, log);
  assert.ok(told[0]?.includes(path), 'what it was');
  const isTold = async (): Promise<boolean> =>
    (await daemon.call('info')).split('\n').some((each) => each.startsWith(line));
  assert.ok(await isTold(), await daemon.call('info'));
  rmSync(aside, { recursive: true });
  assert.ok(!(await isTold()), 'it has been taken away');
}

test('index.json damaged in any way: the daemon starts, keeps it and the layers, and knows the images of containers', async (t) => {
  const daemon = await startDaemon(t);
  const path = join(daemon.directory, 'images/index.json');
  const layers = (): string[] => readdirSync(join(daemon.directory, 'images/layers'));
  await daemon.call('cp', 'base', 'lonely');
  const id = await run(daemon, 'base', 'cat', '/data/one');
  await daemon.stopped(id);
  const [image = ''] = (await daemon.call('images', '-q', 'base')).split('\n');
  const whole = readFileSync(path);
  const layer = layers();
  for (const [what, make] of Object.entries(IN_ITS_PLACE)) {
    const log = await restart(daemon, () => make(path));
    assert.equal(await daemon.call('images', '-q'), `${image}\n`, what);
    assert.match(
      log,
      /damage: the index of images was lost; known again from containers, with the time of these: "base:/,
    );
    assert.equal(await daemon.call('run', '-a', 'base', 'cat', '/data/one'), 'one\n', what);
    assert.equal(await daemon.call('rmi', 'base'), '', what);
    assert.deepEqual(layers(), layer, what);
    await takeAside(daemon, path, log);
    writeFileSync(path, whole); // what the next damage may be a part of
  }
  await restart(daemon, () => writeFileSync(path, whole));
  assert.equal((await daemon.call('images', '-q')).split('\n').length, 3);
  assert.doesNotMatch(await daemon.call('info'), /^damage/m);
});

test('layers that a lost index named are freed once somebody has taken it away, and not before', async (t) => {
  const daemon = await startDaemon(t);
  const path = join(daemon.directory, 'images/index.json');
  const layers = (): string[] => readdirSync(join(daemon.directory, 'images/layers'));
  const before = layers();
  await restart(daemon, () => writeFileSync(path, '{'));
  await restart(daemon, () => undefined);
  assert.deepEqual([await daemon.call('images', '-q'), layers()], ['', before]);
  assert.match(
    await daemon.call('info'),
    /^damage: .*index\.json\.damaged-\S+ was set aside earlier: no layer is freed /m,
  );
  await restart(daemon, () => findAside(path).forEach((aside) => rmSync(aside)));
  assert.deepEqual([layers(), /^damage/m.test(await daemon.call('info'))], [[], false]);
});

test('an index with some bad entries keeps the others; a path in it leads nowhere', async (t) => {
  const daemon = await startDaemon(t);
  const path = join(daemon.directory, 'images/index.json');
  const { ByName, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as {
    ByName: Record<string, { Layers: string[] }[]>;
  }; // ours
  const [good] = ByName['base'] ?? [];
  assert.ok(good);
  const outside = join(daemon.directory, 'outside');
  mkdirSync(join(outside, 'bin'), { recursive: true });
  const evil = { ...good, Id: 'evil:0', Layers: ['../../outside', outside, `${'../'.repeat(20)}etc`] };
  const dots = { ...good, Id: 'dots:0', Layers: ['..'] };
  const comma = { ...good, Id: 'comma:0', Layers: ['x,upperdir=y'] };
  const text = JSON.stringify({
    ...rest,
    ByName: { ...ByName, evil: [evil], dots: [dots], comma: [comma], 7: { a: 1 } },
  });
  const log = await restart(daemon, () => writeFileSync(path, text));
  assert.deepEqual(
    (await daemon.call('images', '-q')).split('\n').sort(),
    ['', 'evil:0', good.Layers[0]?.replace(/.*\//, 'base:')].sort(),
  );
  assert.equal(await daemon.call('run', '-a', 'base', 'cat', '/data/one'), 'one\n');
  const reply = await daemon.call('run', '-a', 'evil', 'ls', '/');
  assert.match(
    reply,
    new RegExp(`^Error: Cannot use the file system: its layer ${daemon.directory}/images/layers/outside is missing\n$`),
  );
  assert.match(log, /damage: .*images\/layers\/outside is missing, a layer of the image evil:0: /);
  assert.equal(readFileSync(findAside(path)[0] ?? '', 'utf8'), text);
  await takeAside(daemon, path, log);
});

test('config.json damaged in any way: the container is stopped and read, committed and removed, and never started', async (t) => {
  const daemon = await startDaemon(t);
  const sources = Object.entries({
    ...IN_ITS_PLACE,
    'no file': (path: string) => rmSync(path),
    'values of other types': (path: string) =>
      writeFileSync(path, readFileSync(path, 'utf8').replace('"User":"alice"', '"User":1000')),
    'no layers': (path: string) =>
      writeFileSync(path, readFileSync(path, 'utf8').replace(/"Layers":\[[^\]]*\]/, '"Layers":null')),
    'a layer that is none': (path: string) =>
      writeFileSync(path, readFileSync(path, 'utf8').replace(/"Layers":\[[^\]]*\]/, '"Layers":["../..","/"]')),
    'no time': (path: string) =>
      writeFileSync(path, readFileSync(path, 'utf8').replace(/"Created":"[^"]*"/, '"Created":"x"')),
  });
  const containers: { what: string; make: (path: string) => void; id: string; path: string }[] = [];
  for (const [what, make] of sources) {
    const words = ['-u', 'root', '-c', 'mine', 'base', 'sh', '-c', 'echo said; echo more > /data/two; exit 4'];
    if (what.startsWith('values')) words.splice(0, 2, '-u', 'alice');
    const id = await run(daemon, ...words);
    await daemon.stopped(id);
    containers.push({ what, make, id, path: join(daemon.directory, 'containers', id, 'config.json') });
  }
  const log = await restart(daemon, () => containers.forEach(({ make, path }) => make(path)));
  const table = await daemon.call('ps', '-a');
  for (const { what, id, path } of containers) {
    assert.match(table, new RegExp(`^${id} +base:.* mine$`, 'm'), what);
    assert.match(
      log,
      new RegExp(`damage: the record of container \\S+/${id} was made anew, it is not started again: `),
      what,
    );
    assert.match(await daemon.call('start', id), new RegExp(`^Error: Cannot start container ${id}: [^\n]+\n$`), what);
    if (!what.startsWith('values')) {
      assert.equal(await daemon.call('logs', id), 'said\n', what);
      assert.equal(await daemon.call('cat', id, '/data/two'), 'more\n', what);
      assert.match(await daemon.call('commit', id, 'kept'), /^kept:/, what);
    }
    if (what === 'no file') assert.deepEqual(findAside(path), []);
    else await takeAside(daemon, path, log);
  }
  const again = await restart(daemon, () => undefined);
  assert.doesNotMatch(again, /damage/);
  for (const { what, id, path } of containers) {
    assert.match(await daemon.call('start', id), /^Error: Cannot start/, what);
    assert.equal(await daemon.call('rm', id), '', what);
    assert.ok(!existsSync(join(path, '..')), what);
  }
  assert.equal(await daemon.call('run', '-a', 'kept', 'cat', '/data/two'), 'more\n');
});

test('userdata.json damaged in any way is set aside, and the container starts', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, '-c', 'mine', 'base', 'true');
  await daemon.stopped(id);
  const path = join(daemon.directory, 'containers', id, 'userdata.json');
  const whole = readFileSync(path);
  for (const [what, make] of Object.entries(IN_ITS_PLACE)) {
    const log = await restart(daemon, () => {
      writeFileSync(path, whole);
      make(path);
    });
    assert.ok(log.includes(`was ${path}, which cannot be used: `), `${what}: ${log}`);
    await takeAside(daemon, path, log);
    assert.equal(await daemon.call('start', id), `${id}\n`, what);
    await daemon.stopped(id);
  }
});

test('a running container whose files are damaged runs on, and is logged, stopped and removed', async (t) => {
  const daemon = await startDaemon(t);
  const script = 'trap "echo bye; exit 3" TERM; echo up; while :; do usleep 10000; done';
  for (const flags of [[], ['-t'], ['-i']]) {
    const id = await run(daemon, ...flags, 'base', 'sh', '-c', script);
    await until(async () => /^up/.test(await daemon.call('logs', id)), 'it is up');
    const folder = join(daemon.directory, 'containers', id);
    const pid = findLxcStarts(join(daemon.directory, 'containers')).get(id)?.pid;
    const log = await restart(
      daemon,
      () => {
        for (const name of ['config.json', 'userdata.json', 'config.lxc', 'rw.driver', `${id}-order.log`])
          put(join(folder, name), () => execFileSync('mkfifo', [join(folder, name)]));
      },
      'SIGKILL',
    );
    assert.equal(findLxcStarts(join(daemon.directory, 'containers')).get(id)?.pid, pid);
    assert.match(await daemon.call('ps'), new RegExp(`^${id} .* Up `, 'm'), log);
    assert.match(await daemon.call('inspect', id), /"Path": "sh"/);
    assert.equal(await daemon.call('stop', id), `${id}\n`);
    assert.equal(await daemon.call('wait', id), '3\n');
    assert.match(await daemon.call('logs', id), /^up\r?\nbye\r?\n$/);
    for (const name of ['config.json', 'userdata.json', 'config.lxc', 'rw.driver', `${id}-order.log`])
      await takeAside(daemon, join(folder, name), log);
    assert.equal(await daemon.call('rm', id), '');
  }
});

test('the form of rw is known without the file that names it: what was deleted stays deleted', async (t) => {
  for (const driver of ['overlay', 'vfs']) {
    const daemon = await startDaemon(t, { args: ['--driver', driver] });
    const id = await run(daemon, 'base', 'sh', '-c', 'rm /data/one; echo new > /data/two');
    await daemon.stopped(id);
    const path = join(daemon.directory, 'containers', id, 'rw.driver');
    const before = await daemon.call('diff', id);
    assert.equal(before, 'C /data\nD /data/one\nA /data/two\n');
    for (const make of [
      () => writeFileSync(path, ''),
      () => writeFileSync(path, 'overlay\n../../../elsewhere\n'),
      () => put(path, () => symlinkSync('/etc/hostname', path)),
      () => put(path, () => execFileSync('mkfifo', [path])),
    ]) {
      const log = await restart(daemon, make);
      assert.equal(await daemon.call('diff', id), before);
      await takeAside(daemon, path, log);
    }
    assert.equal(await daemon.call('ls', id, '/data'), 'plain\ntwo\n');
  }
});

test('a running container whose network.json is damaged keeps its address', async (t) => {
  const { daemon } = await startMachine(t);
  const id = await run(daemon, 'base', 'sleep', '1000');
  const address = async (): Promise<unknown> => {
    const { NetworkSettings } = JSON.parse(await daemon.call('inspect', id)) as {
      NetworkSettings: { IpAddress: string };
    }; // ours
    return NetworkSettings.IpAddress;
  };
  const before = await address();
  assert.match(String(before), /^\d+\./);
  const path = join(daemon.directory, 'containers', id, 'network.json');
  const record = join(daemon.directory, 'network.json');
  for (const damage of [
    () => writeFileSync(path, '{"Bridge":"../..","IpAddress":7}'),
    () => put(path, () => execFileSync('mkfifo', [path])),
  ]) {
    const log = await restart(daemon, () => {
      damage();
      put(record, () => execFileSync('mkfifo', [record]));
    });
    assert.equal(await address(), before);
    await takeAside(daemon, path, log);
    await takeAside(daemon, record, log);
  }
  const other = await run(daemon, 'base', 'sleep', '1000');
  assert.doesNotMatch(await daemon.call('inspect', other), new RegExp(`"IpAddress": "${String(before)}"`));
});

test('what is no container, and what is no layer, is named and left alone; links lead nowhere', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'sh', '-c', 'echo kept > /data/two');
  await daemon.stopped(id);
  const outside = join(daemon.directory, 'outside');
  mkdirSync(join(outside, 'etc'), { recursive: true });
  writeFileSync(join(outside, 'etc/file'), 'untouched\n');
  const containers = join(daemon.directory, 'containers');
  const layers = join(daemon.directory, 'images/layers');
  const strangers = [
    [join(containers, 'lost+found'), (path: string) => mkdirSync(path)],
    [join(containers, '0badf00d'), (path: string) => mkdirSync(path)],
    [join(containers, '0badf00e'), (path: string) => writeFileSync(path, 'a file\n')],
    [join(containers, '0badf00f'), (path: string) => symlinkSync(outside, path)],
    [join(containers, 'notes.txt'), (path: string) => writeFileSync(path, 'mine\n')],
    [join(layers, 'extra'), (path: string) => mkdirSync(join(path, 'etc'), { recursive: true })],
    [join(daemon.directory, 'images/notes'), (path: string) => writeFileSync(path, 'mine\n')],
    [join(daemon.directory, 'mine'), (path: string) => mkdirSync(path)],
  ] as const;
  const linked = ['rootfs', 'rw', `${id}-stdout.log`].map((name) => join(containers, id, name));
  const fakeLayer = join(layers, '00000000deadbeef');
  const log = await restart(daemon, () => {
    for (const [path, make] of strangers) make(path);
    for (const path of linked) {
      if (isThere(path)) renameSync(path, `${path}.before`);
      symlinkSync(path.endsWith('.log') ? join(outside, 'etc/file') : outside, path);
    }
    symlinkSync(outside, fakeLayer);
  });
  const info = await daemon.call('info');
  for (const [path] of strangers) {
    assert.ok(log.includes(`damage: ${path} `) && info.includes(`\ndamage: ${path} `), `${path} in ${log}`);
    assert.ok(isThere(path), path);
  }
  for (const path of [...linked, fakeLayer]) assert.match(findAside(path)[0] ?? '', /\.damaged-/, log);
  assert.equal(await daemon.call('start', id), `${id}\n`);
  await daemon.stopped(id);
  assert.equal(await daemon.call('ls', id, '/etc'), 'hostname\nhosts\npasswd\nresolv.conf\n');
  assert.equal(await daemon.call('ps', '-a', '-q'), `${id}\n`);
  assert.equal(readFileSync(join(outside, 'etc/file'), 'utf8'), 'untouched\n');
  assert.deepEqual([readdirSync(outside), readdirSync(join(outside, 'etc'))], [['etc'], ['file']]);
  assert.equal(await daemon.call('rm', id), '');
  assert.deepEqual(readdirSync(join(outside, 'etc')), ['file'], 'nor is what a link leads to removed with it');
});

test('a missing layer: named at the start; run, start, commit and diff say so in one line; it may come back', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'cat', '/data/one');
  await daemon.stopped(id);
  const layers = join(daemon.directory, 'images/layers');
  const [name = ''] = readdirSync(layers);
  const elsewhere = join(daemon.directory, 'elsewhere');
  const log = await restart(daemon, () => renameSync(join(layers, name), elsewhere));
  const line = `damage: ${join(layers, name)} is missing, a layer of the image base:${name}: what needs it cannot run\n`;
  assert.ok(log.includes(line), log);
  assert.ok((await daemon.call('info')).includes(line));
  const refusal = `Error: Cannot use the file system: its layer ${join(layers, name)} is missing\n`;
  assert.equal(await daemon.call('run', '-a', 'base', 'true'), refusal);
  for (const words of [
    ['start', id],
    ['commit', id, 'x'],
    ['diff', id],
    ['mount', id],
  ])
    assert.equal(await daemon.call(...words), refusal, words[0]);
  assert.match(await daemon.call('images'), /^base /m);
  renameSync(elsewhere, join(layers, name));
  assert.doesNotMatch(await daemon.call('info'), /^damage/m);
  assert.equal(await daemon.call('start', id), `${id}\n`);
  await daemon.stopped(id);
  assert.equal(await daemon.call('logs', id), 'one\none\n');
});

test('a missing layer that only a container has is named as well, until the container is removed', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'true');
  await daemon.stopped(id);
  await daemon.call('rmi', 'base');
  const layers = join(daemon.directory, 'images/layers');
  const [name = ''] = readdirSync(layers);
  const log = await restart(daemon, () => rmSync(join(layers, name), { recursive: true }));
  const line = `damage: ${join(layers, name)} is missing, a layer of container ${id}: what needs it cannot run\n`;
  assert.ok(log.includes(line), log);
  assert.ok((await daemon.call('info')).includes(line));
  assert.equal(await daemon.call('rm', id), '');
  assert.doesNotMatch(await daemon.call('info'), /^damage/m);
});

test('what lies in the place of a folder of the data directory is set aside', async (t) => {
  const daemon = await startDaemon(t);
  for (const what of ['an empty file', 'a link to nowhere', 'a link to itself', 'a FIFO']) {
    for (const name of ['images', 'images/layers', 'images/overlay', 'containers']) {
      const path = join(daemon.directory, name);
      const log = await restart(daemon, () => {
        rmSync(path, { recursive: true, force: true });
        writeFileSync(path, '');
        IN_ITS_PLACE[what]?.(path);
      });
      await takeAside(daemon, path, log);
    }
  }
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('--clean --data takes away a directory with everything that was set aside in it', async (t) => {
  const daemon = await startDaemon(t);
  const id = await run(daemon, 'base', 'true');
  await daemon.stopped(id);
  await restart(daemon, () => {
    for (const name of [
      'images/index.json',
      'network.json',
      `containers/${id}/config.json`,
      `containers/${id}/rw.driver`,
    ])
      put(join(daemon.directory, name), () => execFileSync('mkfifo', [join(daemon.directory, name)]));
  });
  assert.equal(await daemon.call('rm', id), '');
  await daemon.end();
  const args = ['-d', '--clean', '--data', '--bridge', 'none', '-g', daemon.directory];
  execFileSync(process.execPath, [join(import.meta.dirname, '../../src/tsdock.cjs'), ...args]);
  assert.ok(!existsSync(daemon.directory));
});
