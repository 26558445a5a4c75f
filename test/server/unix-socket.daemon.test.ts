// A daemon that listens on a socket in the file system: who may call, and that every kind of call works over it.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { Screen } from '../client/screen.js';
import { PROGRAM, TestDaemon, type TestNetwork, until } from '../harness.js';

const NOBODY = ['--reuid', '65534', '--regid', '65534'];
const GROUP_ID = '54242';

let folder: string;
let socket: string;
let daemon: TestDaemon;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tsdock-test-socket-'));
  chmodSync(folder, 0o755); // for users other than root
  socket = join(folder, 'tsdock.sock');
  const groups = join(folder, 'group');
  const own = readFileSync('/etc/group', 'utf8').replace(/^tsdock:.*\n/m, '');
  writeFileSync(groups, `${own}tsdock:x:${GROUP_ID}:\n`);
  daemon = await TestDaemon.start({ socket, args: ['--bridge', 'none'], network: withGroups(groups) });
});
after(async () => {
  await daemon.close();
  assert.equal(existsSync(socket), false, 'the socket goes with the daemon');
  rmSync(folder, { recursive: true, force: true });
});

/** This machine, but with other groups, which nobody else sees. */
function withGroups(file: string): TestNetwork {
  const script = 'mount --bind "$1" /etc/group && shift && exec "$@"';
  return {
    enter: ['unshare', '--mount', '--propagation', 'slave', 'sh', '-c', script, 'sh', file],
    address: '127.0.0.1',
    environment: process.env,
    guard: () => undefined,
    mountsBelow: () => [], // they go with the daemon's namespace
    clean: async () => undefined,
  };
}

/** A 2013 call by a program that has this user and these groups. */
function callAs(identity: string[], ...words: string[]): { status: number | null; text: string } {
  const input = `${JSON.stringify(words)}\n`;
  const { status, stdout, stderr } = spawnSync('setpriv', [...identity, 'nc', '-N', '-U', socket], { input });
  return { status, text: `${stdout.toString()}${stderr.toString()}` };
}

const overSocket = (): NodeJS.ProcessEnv => ({ DOCKER: `unix://${socket}` });

test('tsdock -d -H unix: the socket is for root and the group tsdock', () => {
  const { mode, uid, gid } = statSync(socket);
  assert.deepEqual([mode & 0o7777, uid, String(gid)], [0o660, 0, GROUP_ID]);
  assert.match(callAs(['--reuid', '0'], 'version').text, /^tsdock /);
  assert.match(callAs([...NOBODY, '--groups', GROUP_ID], 'version').text, /^tsdock /);
  const { status, text } = callAs([...NOBODY, '--clear-groups'], 'version');
  assert.equal(status, 1);
  assert.match(text, /[Pp]ermission denied/);
});

test('tsdock tells a user who may not open the socket what to do', () => {
  const words = [...NOBODY, '--clear-groups', process.execPath, PROGRAM, 'ps'];
  const { status, stderr } = spawnSync('setpriv', words, { env: { ...process.env, ...overSocket() } });
  assert.equal(
    stderr.toString(),
    `tsdock: Cannot reach a daemon at unix://${socket} (permission denied): use sudo, or become a member of the socket's group with "sudo usermod -aG tsdock $USER" and log in again\n`,
  );
  assert.equal(status, 1);
});

test('tsdock tells how to start a daemon where there is no socket, or nobody listens on it', async () => {
  const path = join(folder, 'none.sock');
  const say = async (): Promise<string> => (await daemon.tsdock(['-H', `unix://${path}`, 'ps'])).stderr;
  const mend = `start one with "sudo tsdock -d -H unix://${path}", or set DOCKER to where one is\n`;
  assert.equal(await say(), `tsdock: Cannot reach a daemon at unix://${path} (there is no such socket): ${mend}`);
  writeFileSync(path, '');
  assert.equal(await say(), `tsdock: Cannot reach a daemon at unix://${path} (connection refused): ${mend}`);
});

test('DOCKER=unix:// runs programs, with pipes, stdout and stderr apart, and the exit status', async () => {
  const script = 'cat; echo error >&2; exit 3';
  const result = await daemon.tsdock(['run', '-a', '-i', 'base', 'sh', '-c', script], 'input\n', overSocket());
  assert.deepEqual(result, { status: 3, stdout: 'input\n', stderr: 'error\n' });
  const large = Buffer.alloc(3_000_000, 'x');
  const counted = await daemon.tsdock(['run', '-a', '-i', 'base', 'wc', '-c'], large, overSocket());
  assert.deepEqual(counted, { status: 0, stdout: '3000000\n', stderr: '' });
});

test('a 2013 call over the socket has its input up to the half-close', async () => {
  assert.equal(await daemon.callWith('a\nb\n', 'run', '-a', '-i', 'base', 'wc', '-l'), '2\n');
  await daemon.logged(/ tcp unix run -a -i base wc -l \(\d+ ms\): ok/);
});

test('DOCKER=unix:// gives a program a terminal', async () => {
  const environment = { DOCKER: `unix://${socket}`, NODE: process.execPath, PROGRAM, TERM: 'screen' };
  const screen = new Screen('"$NODE" "$PROGRAM" run base sh; echo "left with $?"; exec cat', environment);
  try {
    await screen.shows(/#\s*$/);
    screen.enter("tty; stty size; echo in''side");
    await screen.shows(/\/dev\/[^\n]*\n30 90\ninside\n/);
    screen.enter('exit 5');
    await screen.shows(/left with 5/);
  } finally {
    screen.close();
  }
});

test('tsdock -i opens its shell over the socket, whatever folder it is in then', async () => {
  const input = "cd /\nps -q | wc -l\nrun base sh -c 'exit 4'\necho status $?\n";
  const { stdout, stderr } = await daemon.tsdock(['-H', `unix://${socket}`, '-i'], input);
  assert.deepEqual([stdout, stderr], ['0\nstatus 4\n', '']);
});

test('tsdock -d refuses a socket that a daemon has, before it touches anything', () => {
  const words = [
    PROGRAM,
    '-d',
    '-g',
    join(folder, 'data'),
    '--http',
    'off',
    '--bridge',
    'none',
    '-H',
    `unix://${socket}`,
  ];
  const { status, stderr } = spawnSync(process.execPath, words, { timeout: 20_000 });
  assert.equal(status, 1);
  const pattern = `^tsdock: Cannot listen on unix://${socket}: the socket is in use by process ${daemon.pid} \\(.*\\)\n$`;
  assert.match(stderr.toString(), new RegExp(pattern));
  assert.equal(existsSync(join(folder, 'data')), false);
  assert.match(execFileSync('nc', ['-N', '-U', socket], { input: '["version"]\n' }).toString(), /^tsdock /);
});

test('tsdock -d takes over the socket of a daemon that was killed', async () => {
  await daemon.end('SIGKILL');
  assert.ok(existsSync(socket));
  await daemon.begin();
  assert.match(await daemon.call('version'), /^tsdock /);
});

test('tsdock -d -H unix: alone has no TCP port, and speaks HTTP on a socket too', async () => {
  const [calls, http] = [join(folder, 'only.sock'), join(folder, 'http.sock')];
  const data = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  const words = [PROGRAM, '-d', '-g', data, '--bridge', 'none', '-H', `unix://${calls}`, '--http', `unix://${http}`];
  const { spawn } = await import('node:child_process');
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  try {
    await until(() => log.includes(': data ') || child.exitCode !== null, 'the daemon listens');
    assert.ok(log.includes(` on unix ${calls}, http unix ${http}: data `), log);
    const inodes = execFileSync('sh', ['-c', `ls -l /proc/${child.pid ?? 0}/fd`]).toString();
    const tables = ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/net/${name}`, 'utf8')).join('\n');
    const listening = tables.split('\n').filter((line) => line.trim().split(/\s+/)[3] === '0A');
    const own = listening.filter((line) => inodes.includes(`socket:[${line.trim().split(/\s+/)[9] ?? ''}]`));
    assert.deepEqual(own, []);
    assert.match(execFileSync('nc', ['-N', '-U', calls], { input: '["version"]\n' }).toString(), /^tsdock /);
    const curl = ['-sS', '--max-time', '20', '--unix-socket', http, 'http://localhost/ps?q=-a'];
    assert.match(execFileSync('curl', curl).toString(), /^ID /);
  } finally {
    child.kill('SIGTERM');
    if (child.exitCode === null) await new Promise((resolve) => child.once('close', resolve));
    rmSync(data, { recursive: true, force: true });
  }
  assert.deepEqual([existsSync(calls), existsSync(http)], [false, false]);
});
