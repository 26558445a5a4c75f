// What examples/base.sh promises to those who put its tar as the image `base`: the same bytes each time, a tree in which
// a shell runs, the empty files that are mounted upon, and nothing left behind. Called by the test runner, as root.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import assert from 'node:assert/strict';
import test from 'node:test';

// The compiled test lies in dist/test/examples/.
const script = fileURLToPath(new URL('../../../examples/base.sh', import.meta.url));

// It takes a second; a slow disk and a busy machine get two minutes.
const deadlineMs = 120_000;

/** A folder that is removed after the test, with an empty `tmp` in it for the script's TMPDIR. */
async function withFolder(use: (folder: string, env: NodeJS.ProcessEnv) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tsdock-test-base.'));
  try {
    await mkdir(join(folder, 'tmp'));
    await use(folder, { ...process.env, TMPDIR: join(folder, 'tmp') });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Runs the script to its end and returns the sha256 of what it printed. */
async function sumOfRun(env: NodeJS.ProcessEnv): Promise<string> {
  const child = spawn(script, { env, stdio: ['ignore', 'pipe', 'inherit'], timeout: deadlineMs });
  const hash = createHash('sha256');
  child.stdout.on('data', (chunk: Buffer) => hash.update(chunk));
  const [status] = (await once(child, 'close')) as [number | null]; // `close` carries status and signal
  assert.equal(status, 0, 'base.sh ended with an error, or not within the deadline');
  return hash.digest('hex');
}

/** Unpacks what the script prints into `folder`/root, modes and all, and returns that folder. */
async function unpack(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const root = join(folder, 'root');
  await mkdir(root);
  const pipe = spawnSync('bash', ['-c', 'set -o pipefail; "$0" | tar -xp --numeric-owner -f - -C "$1"', script, root], {
    env,
    encoding: 'utf8',
    timeout: deadlineMs,
  });
  assert.equal(pipe.status, 0, pipe.stderr);
  return root;
}

/** What a command line prints in the image, under bash and with the environment that a container has. */
function inImage(root: string, line: string): string {
  const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  const bash = spawnSync('chroot', [root, '/bin/bash', '-c', line], {
    env: { HOME: '/', PATH: path },
    encoding: 'utf8',
    timeout: deadlineMs,
  });
  assert.equal(bash.status, 0, `${line}: ${bash.stderr}`);
  return bash.stdout;
}

test('base.sh prints the same bytes each time and leaves nothing in TMPDIR', async () => {
  await withFolder(async (folder, env) => {
    const first = await sumOfRun(env);
    const second = await sumOfRun({
      ...env,
      LANG: 'de_DE.UTF-8',
      LD_LIBRARY_PATH: folder,
      PATH: `${folder}:/usr/bin:/bin`,
    });
    assert.equal(second, first);
    assert.deepEqual(await readdir(join(folder, 'tmp')), []);
  });
});

test('base.sh makes a tree with the folders, modes and empty files that a container wants', async () => {
  await withFolder(async (folder, env) => {
    const root = await unpack(folder, env);

    for (const file of ['hosts', 'hostname', 'resolv.conf']) {
      const at = await lstat(join(root, 'etc', file));
      assert.ok(at.isFile(), `etc/${file} is no plain file`);
      assert.equal(at.size, 0, `etc/${file} is not empty`);
    }
    for (const name of ['dev', 'proc', 'sys', 'run', 'tmp', 'var/tmp', 'home', 'mnt', 'opt', 'srv', 'var/log']) {
      assert.deepEqual(await readdir(join(root, name)), [], `${name} is not empty`);
    }
    const mode = async (name: string): Promise<number> => (await stat(join(root, name))).mode & 0o7777;
    assert.equal(await mode('.'), 0o755);
    assert.equal(await mode('tmp'), 0o1777);
    assert.equal(await mode('var/tmp'), 0o1777);
    assert.equal(await mode('root'), 0o700);
    assert.equal(await mode('etc/passwd'), 0o644);
    assert.match(await readFile(join(root, 'etc/passwd'), 'utf8'), /^root:x:0:0:/m);

    const privileged = spawnSync('find', [root, '-perm', '/6000', '-o', '!', '-uid', '0', '-o', '!', '-gid', '0']);
    assert.equal(privileged.stdout.toString(), '', 'a file is setuid, setgid or not root’s');
  });
});

test('base.sh makes a tree in which bash, sh and the coreutils run', async () => {
  await withFolder(async (folder, env) => {
    const root = await unpack(folder, env);

    assert.equal(inImage(root, 'sh -c "echo hello" | tr a-z A-Z'), 'HELLO\n');
    assert.equal(inImage(root, 'id -un; pwd; ls -d /tmp'), 'root\n/\n/tmp\n');
    assert.equal(inImage(root, 'printf "b\\na\\n" | sort | head -n 1; test -f /etc/group && echo yes'), 'a\nyes\n');
    // Each program that is dynamic, and each library, finds its libraries in the image.
    if (existsSync(join(root, 'usr/bin/ldd'))) {
      assert.equal(inImage(root, 'ldd /bin/* /sbin/* /usr/bin/* /usr/sbin/* 2>&1 | grep "not found" || true'), '');
    }
    // No link is dead, seen from inside.
    if (existsSync(join(root, 'usr/bin/find'))) {
      assert.equal(inImage(root, 'find / -xtype l'), '');
    }
  });
});

test('base.sh removes its tree when it is interrupted', async () => {
  await withFolder(async (folder, env) => {
    const temporary = join(folder, 'tmp');
    // Nobody reads the pipe, so that the script stands still in the midst of the tar.
    const child = spawn(script, { env, stdio: ['ignore', 'pipe', 'ignore'], timeout: deadlineMs });
    const closed = once(child, 'exit');
    await once(child.stdout, 'readable');
    assert.equal((await readdir(temporary)).length, 1);

    child.kill('SIGTERM');
    const [status] = (await closed) as [number | null]; // `exit` carries status and signal
    child.stdout.destroy();

    assert.equal(status, 143);
    const giveUpAt = Date.now() + deadlineMs;
    while ((await readdir(temporary)).length > 0 && Date.now() < giveUpAt) {
      await delay(20);
    }
    assert.deepEqual(await readdir(temporary), []);
  });
});

test('base.sh refuses to print to a terminal', { skip: !existsSync('/usr/bin/script') }, async () => {
  await withFolder((folder, env) => {
    const run = spawnSync('script', ['-qec', `'${script}'`, '/dev/null'], {
      cwd: folder,
      env: { ...env, SHELL: '/bin/sh' },
      encoding: 'utf8',
      timeout: deadlineMs,
    });
    assert.notEqual(run.status, 0);
    assert.match(run.stdout, /Cannot print a tar to a terminal/);
    return Promise.resolve();
  });
});
