// diff, commit and tar on real containers, on each driver that works everywhere.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeSampleTree } from '../archive/sample-tree.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { treeOf } from '../archive/tree.js';
import { fixtureTar } from '../fixture.js';
import { TestDaemon, until } from '../harness.js';

/** The archive of an image that can run busybox and has one of everything, file capabilities and devices too. */
function richTar(): Buffer {
  const root = mkdtempSync(join(tmpdir(), 'tsdock-test-rich-'));
  try {
    execFileSync('tar', ['-x', '-C', root], { input: fixtureTar() });
    mkdirSync(join(root, 'sample'));
    makeSampleTree(join(root, 'sample'), { hasLongNames: true, hasDevices: true });
    rmSync(join(root, 'sample/folder/.wh.gone'));
    const options = ['--xattrs', '--xattrs-include=*', '--sort=name', '--numeric-owner', '--format=pax', '-S'];
    return execFileSync('tar', [...options, '-C', root, '-c', '.'], { maxBuffer: 1 << 27 });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

const rich = richTar();

/** How many layers an image may have at least. */
const MOST_LAYERS = 120;
const SOME_LAYERS = 12;
const LOOK_AT_TOWER = 'cat /data/top; ls /data';

/** Makes the image `tower` of so many layers, each but the first with a file more than the one below, and one less. */
async function buildTower(daemon: TestDaemon, layers: number): Promise<void> {
  await daemon.call('cp', 'base', 'tower');
  for (let i = 1; i < layers; i++) {
    const script = `echo ${i} > /data/floor-${i}; rm -f /data/floor-${i - 2}; echo ${i} > /data/top`;
    const id = (await daemon.call('run', 'tower', '/bin/sh', '-c', script)).trim();
    assert.equal(await daemon.stopped(id), '0');
    assert.match(await daemon.call('commit', id, 'tower'), /^tower:[0-9a-f]{16}\n$/);
    await daemon.call('rm', id);
  }
}

/** Removes the image, and with it its layers but the one of `base`. */
async function removeTower(daemon: TestDaemon, layers: number): Promise<void> {
  const { Layers } = JSON.parse(await daemon.call('inspect', 'tower')) as { Layers: string[] }; // the daemon made it
  assert.equal(Layers.length, layers);
  assert.equal(await daemon.call('rmi', 'tower'), '');
  assert.ok(
    Layers.slice(0, -1).every((layer) => !existsSync(layer)),
    'its layers are freed',
  );
}

/** What `LOOK_AT_TOWER` prints in it. */
function towerOf(layers: number): string {
  const last = layers - 1;
  return `${last}\n${[`floor-${last - 1}`, `floor-${last}`].sort().join('\n')}\none\nplain\ntop\n`;
}

for (const driver of ['overlay', 'vfs']) {
  const on = (name: string): string => `${name} (${driver})`;
  let daemon: TestDaemon;

  before(async () => {
    daemon = await TestDaemon.start({ args: ['--driver', driver] });
    assert.match(await daemon.callWith(rich, 'put', 'rich'), /^rich:/);
  });
  after(() => daemon.close());

  const start = async (image: string, script: string): Promise<string> => {
    const id = (await daemon.call('run', image, '/bin/sh', '-c', script)).trim();
    assert.match(id, /^[0-9a-f]{8}$/);
    return id;
  };
  const run = async (image: string, script: string): Promise<string> => {
    const id = await start(image, script);
    assert.equal(await daemon.stopped(id), '0');
    return id;
  };
  const commit = async (id: string, image: string): Promise<string> => {
    const reply = await daemon.call('commit', id, image);
    assert.match(reply, new RegExp(`^${image}:[0-9a-f]{16}\n$`));
    return reply.trim();
  };
  /** The tree of a container, which is mounted for it. */
  const tree = async (id: string): Promise<Record<string, string>> => {
    await daemon.call('mount', id);
    return treeOf(join(daemon.directory, 'containers', id, 'rootfs'));
  };

  test(on('info names the driver'), async () => {
    assert.match(await daemon.call('info'), new RegExp(`^driver: ${driver}$`, 'm'));
  });

  test(on('diff lists what a container changed, while it runs and after that'), async () => {
    const id = await start(
      'base',
      'echo x > /data/new; rm /data/one; mkdir /data/d; rm -r /tmp; mkdir /tmp; echo done; sleep 1000',
    );
    await until(async () => (await daemon.call('logs', id)) === 'done\n', 'the container has changed it');
    const expected = 'C /data\nD /data/one\nA /data/d\nA /data/new\nC /tmp\n';
    assert.equal(await daemon.call('diff', id), expected);
    await daemon.call('kill', id);
    await daemon.stopped(id);
    assert.equal(await daemon.call('diff', id), expected);
  });

  test(on('diff prints the bytes of a name, and refuses an unknown container without its name (Q08)'), async () => {
    const id = await run(
      'base',
      `cd /data; for n in "$(printf 'a\\nb')" "$(printf '\\377\\376')" 'a"b'; do : > "$n"; done`,
    );
    const reply = await daemon.raw(`${JSON.stringify(['diff', id])}\n`);
    assert.equal(reply.toString('latin1'), 'C /data\nA /data/a\nb\nA /data/a"b\nA /data/\xff\xfe\n');
    assert.equal(await daemon.call('diff', 'nosuch'), 'Error: No such container\n');
  });

  test(on('diff, commit and tar know nothing of what LXC mounts on in a bare image'), async () => {
    const root = mkdtempSync(join(tmpdir(), 'tsdock-test-bare-'));
    execFileSync('tar', ['-x', '-C', root, './bin'], { input: fixtureTar() });
    await daemon.callWith(execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 1 << 26 }), 'put', 'bare');
    rmSync(root, { recursive: true });
    const id = await run('bare', '/bin/ls -d /proc/self /sys/kernel /dev/null');
    assert.equal(await daemon.call('diff', id), '');
    await commit(id, 'still-bare');
    const again = await run('still-bare', 'true');
    assert.deepEqual(readdirSync(join(daemon.directory, 'containers', again, 'rootfs')), []);
    assert.equal(await daemon.call('ls', again, '/'), 'bin\ndev\nproc\nsys\n');
    const archive = await daemon.raw(`${JSON.stringify(['tar', again])}\n`);
    assert.deepEqual(
      execFileSync('tar', ['-t'], { input: archive })
        .toString()
        .split('\n')
        .filter((name) => !name.startsWith('./bin')),
      ['./', ''],
    );
  });

  test(
    on('commit keeps what came with the image and what was changed; the same change again is the same layer'),
    async () => {
      const id = await run(
        'rich',
        'rm -r /sample/folder; mkdir /sample/folder; ln /sample/plain /data/linked; chmod 4711 /sample/block',
      );
      const image = await commit(id, 'changed');
      assert.equal(await commit(id, 'changed'), image);
      assert.equal((await daemon.call('images', '-q', 'changed')).trim(), image);
      const again = await run('changed', 'true');
      assert.equal(await daemon.call('diff', again), '');
      const [before, now] = [await tree(id), await tree(again)];
      assert.deepEqual(now, before);
      assert.match(now['./sample/folder/setuid'] ?? 'gone', /^gone$/);
    },
  );

  test(on('commit of a running container is a layer of one moment, and the container goes on'), async () => {
    // Two files that are always replaced one after the other: a layer with the second ahead of the first is torn.
    const replace = (name: string): string => `echo $i > /data/t; mv /data/t /data/${name}`;
    const id = await start('base', `i=0; while :; do i=$((i + 1)); ${replace('first')}; ${replace('second')}; done`);
    await until(async () => !(await daemon.call('cat', id, '/data/second')).startsWith('Error'), 'it writes');
    for (let i = 0; i < 5; i++) {
      await commit(id, 'moment');
      const [first = 0, second = 0] = (await daemon.call('run', '-a', 'moment', 'cat', '/data/first', '/data/second'))
        .split('\n')
        .map(Number);
      assert.ok(first > 0 && (first === second || first === second + 1), `${first} and ${second}`);
    }
    const count = Number(await daemon.call('cat', id, '/data/second'));
    await until(async () => Number(await daemon.call('cat', id, '/data/second')) > count, 'it goes on');
    await daemon.call('kill', id);
  });

  test(on('commit refuses a name that would be a deletion, and diff shows it'), async () => {
    const id = await run('base', ': > /data/.wh.one');
    assert.equal(await daemon.call('diff', id), 'C /data\nA /data/.wh.one\n');
    const before = readdirSync(join(daemon.directory, 'images/layers'));
    assert.match(await daemon.call('commit', id, 'refused'), /^Error: .*"data\/\.wh\.one".*\n$/);
    assert.equal(await daemon.call('images', '-q', 'refused'), '');
    assert.deepEqual(readdirSync(join(daemon.directory, 'images/layers')), before);
  });

  test(on('commit keeps a file of 1 TB that is a hole but for a few bytes'), async () => {
    const id = await run(
      'base',
      'echo begin > /data/sparse; dd if=/dev/zero of=/data/sparse bs=1 count=1 seek=1000000000000 conv=notrunc 2>/dev/null',
    );
    const image = await commit(id, 'sparse');
    const again = await run(
      image,
      'test $(stat -c %s /data/sparse) = 1000000000001 && test $(stat -c %b /data/sparse) -lt 100',
    );
    assert.equal(await daemon.call('diff', again), '');
  });

  test(on('tar | put makes a container with the identical tree'), async () => {
    const id = await run('rich', 'echo x > /data/new; rm /data/one; ln /bin/busybox /data/busybox; mknod /data/fifo p');
    const archive = await daemon.raw(`${JSON.stringify(['tar', id])}\n`);
    await daemon.callWith(archive, 'put', 'flat');
    const flat = await run('flat', 'true');
    assert.deepEqual(await tree(flat), await tree(id));
    // The same bytes make the same layer.
    const hash = createHash('sha256').update(archive).digest('hex').slice(0, 16);
    assert.equal((await daemon.call('images', '-q', 'flat')).trim(), `flat:${hash}`);
    for (const each of [id, flat]) assert.equal(await daemon.call('umount', each), `${each}\n`);
  });

  test(on(`an image of ${SOME_LAYERS} layers is built by commits, and runs; its layers are freed`), async () => {
    await buildTower(daemon, SOME_LAYERS);
    assert.equal(await daemon.call('run', '-a', 'tower', 'sh', '-c', LOOK_AT_TOWER), towerOf(SOME_LAYERS));
    await daemon.call('rm', (await daemon.call('ps', '-a', '-q')).split('\n')[0] ?? '');
    await removeTower(daemon, SOME_LAYERS);
  });

  test(on('rm -f during commit: the image is whole or is not there'), async () => {
    const id = await start(
      'base',
      'dd if=/dev/urandom of=/data/large bs=1M count=30 2>/dev/null; echo done; sleep 1000',
    );
    await until(async () => (await daemon.call('logs', id)) === 'done\n', 'there is something to commit');
    const [committed, removed] = await Promise.all([daemon.call('commit', id, 'raced'), daemon.call('rm', '-f', id)]);
    assert.equal(removed, '');
    if (committed.startsWith('Error')) assert.equal(await daemon.call('images', '-q', 'raced'), '');
    else assert.equal(await daemon.call('run', '-a', 'raced', 'stat', '-c', '%s', '/data/large'), `${30 << 20}\n`);
  });
}

test(
  'an image of 120 layers is built by 119 commits, and runs (overlay, and then vfs)',
  { timeout: 600_000 },
  async () => {
    const built = await TestDaemon.start({ args: ['--driver', 'overlay'] });
    await buildTower(built, MOST_LAYERS);
    assert.equal(await built.call('run', '-a', 'tower', 'sh', '-c', LOOK_AT_TOWER), towerOf(MOST_LAYERS));
    assert.equal(await built.end(), 0);
    // vfs copies all layers for each run, so 119 of them would take long.
    const args = ['--driver', 'vfs'];
    const daemon = await TestDaemon.start({ directory: built.directory, args, withImage: false });
    assert.equal(await daemon.call('run', '-a', 'tower', 'sh', '-c', LOOK_AT_TOWER), towerOf(MOST_LAYERS));
    await daemon.call('rm', ...(await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean));
    await removeTower(daemon, MOST_LAYERS);
    await daemon.close();
  },
);

test('a data directory of one driver works under another: diff, files and commits are the same', async () => {
  const first = await TestDaemon.start({ args: ['--driver', 'overlay'] });
  const { directory } = first;
  const id = (
    await first.call(
      'run',
      'base',
      'sh',
      '-c',
      'rm -rf /tmp /data/one; mkdir /tmp; echo x > /tmp/x; echo done; sleep 1000',
    )
  ).trim();
  await until(async () => (await first.call('logs', id)) === 'done\n', 'the container has changed it');
  await first.call('kill', id);
  await first.stopped(id);
  const diff = await first.call('diff', id);
  let image = await first.call('commit', id, 'kept');
  const running = (await first.call('run', 'kept', 'sh', '-c', 'echo y > /data/y; sleep 1000')).trim();
  await until(async () => (await first.call('cat', running, '/data/y')) === 'y\n', 'the second one, too');
  assert.equal(await first.end(), 0);
  let daemon = first;
  for (const driver of ['vfs', 'overlay']) {
    daemon = await TestDaemon.start({ directory, args: ['--driver', driver], withImage: false });
    assert.equal(await daemon.call('diff', id), diff);
    assert.equal(await daemon.call('commit', id, 'kept'), image);
    assert.equal(await daemon.call('run', '-a', 'kept', 'cat', '/tmp/x'), 'x\n');
    const logs = await daemon.call('logs', id);
    assert.equal(await daemon.call('start', id), `${id}\n`);
    await until(async () => (await daemon.call('logs', id)) === `${logs}done\n`, 'it has done all of it again');
    await daemon.call('kill', id);
    await daemon.stopped(id);
    assert.equal(await daemon.call('cat', id, '/tmp/x'), 'x\n');
    image = await daemon.call('commit', id, 'kept');
    assert.equal(
      await daemon.call('diff', running),
      'C /data\nA /data/y\n',
      'the one that runs is still the first driver’s',
    );
    if (driver === 'vfs') assert.equal(await daemon.end(), 0);
  }
  await daemon.close();
});

test('a folder that holds nothing but a name of 255 bytes can be deleted, but not committed', async (t) => {
  const name = 'n'.repeat(255);
  const folder = temporaryFolder(t);
  execFileSync('tar', ['-x', '-C', folder], { input: fixtureTar() });
  writeFileSync(join(folder, 'data', name), '');
  const daemon = await TestDaemon.start({ withImage: false });
  try {
    await daemon.callWith(execFileSync('tar', ['-C', folder, '-c', '.'], { maxBuffer: 1 << 26 }), 'put', 'long');
    const id = (await daemon.call('run', 'long', 'rm', `/data/${name}`)).trim();
    await daemon.stopped(id);
    assert.equal(await daemon.call('diff', id), `C /data\nD /data/${name}\n`);
    assert.match(await daemon.call('commit', id, 'refused'), /^Error: .*too long.*\n$/);
  } finally {
    await daemon.close();
  }
});
