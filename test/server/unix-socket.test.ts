// A socket in the file system: how it is made, whose place it takes, and when it goes.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { checkPathFree, listenOnPath } from '../../src/server/unix-socket.js';

const LEAVE_A_SOCKET =
  "require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))";
const LISTEN = "require('net').createServer().listen(process.argv[1], () => console.log('listening'))";
const LISTEN_FOR_DATAGRAMS =
  'import socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("bound", flush=True); sys.stdin.read()';

const noLog = (): void => undefined;

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function newServer(t: TestContext): Server {
  const server = createServer((socket) => socket.end('answer'));
  t.after(() => server.close());
  return server;
}

async function answerOf(path: string): Promise<string> {
  const socket = createConnection({ path });
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(socket, 'end');
  return text;
}

/** Another process that has a socket, once it says so; it ends with the test. */
async function otherProcess(t: TestContext, program: string, ...args: string[]): Promise<number | undefined> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return child.pid;
}

test('listenOnPath() makes a socket for root and the group alone, and leaves nothing beside it', async (t) => {
  const folder = newFolder(t);
  const path = join(folder, 'x.sock');
  const lines: string[] = [];
  const remove = await listenOnPath(newServer(t), path, (line) => void lines.push(line));
  const { mode, uid, gid } = statSync(path);
  assert.equal(mode & 0o7777, 0o660);
  const [, group] = /^tsdock:[^:]*:(\d+):/m.exec(readFileSync('/etc/group', 'utf8')) ?? [];
  assert.deepEqual([uid, gid], [0, Number(group ?? 0)]);
  assert.equal(lines.length, group === undefined ? 1 : 0);
  assert.deepEqual(readdirSync(folder), ['x.sock']);
  assert.equal(await answerOf(path), 'answer');
  remove();
  assert.deepEqual(readdirSync(folder), []);
});

test('listenOnPath() lets nobody in before owner and mode are right', async (t) => {
  const path = join(newFolder(t), 'x.sock');
  const server = newServer(t);
  let modeOfFolder = 0o777;
  let isNamed = true;
  server.once('listening', () => {
    const address = server.address();
    assert.ok(typeof address === 'string');
    modeOfFolder = statSync(dirname(address)).mode & 0o777;
    isNamed = existsSync(path);
  });
  await listenOnPath(server, path, noLog);
  assert.equal(modeOfFolder, 0o700);
  assert.equal(isNamed, false);
});

test('listenOnPath() takes the place of a socket that a killed daemon has left', async (t) => {
  const path = join(newFolder(t), 'x.sock');
  spawnSync(process.execPath, ['-e', LEAVE_A_SOCKET, path]);
  const left = lstatSync(path).ino;
  await checkPathFree(path);
  assert.equal(lstatSync(path).ino, left, 'a check takes nothing away');
  await listenOnPath(newServer(t), path, noLog);
  assert.equal(await answerOf(path), 'answer');
});

test('listenOnPath() refuses the socket of a process that lives, and names it', async (t) => {
  const path = join(newFolder(t), 'x.sock');
  const pid = await otherProcess(t, process.execPath, '-e', LISTEN, path);
  const before = lstatSync(path).ino;
  for (const refused of [checkPathFree(path), listenOnPath(newServer(t), path, noLog)]) {
    await assert.rejects(refused, (error: Error) => {
      const start = `Cannot listen on unix://${path}: the socket is in use by process ${pid ?? 0} (`;
      assert.ok(error.message.startsWith(start), error.message);
      return true;
    });
  }
  assert.equal(lstatSync(path).ino, before);
  assert.deepEqual(readdirSync(dirname(path)), ['x.sock']);
});

test('listenOnPath() refuses a socket of another kind that is in use', async (t) => {
  const path = join(newFolder(t), 'x.sock');
  await otherProcess(t, 'python3', '-c', LISTEN_FOR_DATAGRAMS, path);
  await assert.rejects(
    checkPathFree(path),
    /: there is a socket that does not answer as one of a daemon \(EPROTOTYPE\)/,
  );
  assert.ok(existsSync(path));
});

test('listenOnPath() refuses what is no socket, and keeps it', async (t) => {
  const folder = newFolder(t);
  writeFileSync(join(folder, 'file'), 'precious');
  mkdirSync(join(folder, 'folder'));
  symlinkSync('file', join(folder, 'link'));
  for (const name of ['file', 'folder', 'link']) {
    const path = join(folder, name);
    const refused = /^Error: Cannot listen on unix:.*: what is there is no socket: move it away/;
    await assert.rejects(checkPathFree(path), refused);
    await assert.rejects(listenOnPath(newServer(t), path, noLog), refused);
  }
  assert.deepEqual(readdirSync(folder), ['file', 'folder', 'link']);
  assert.equal(readFileSync(join(folder, 'file'), 'utf8'), 'precious');
});

test('listenOnPath() names a folder that is missing', async (t) => {
  const path = join(newFolder(t), 'missing', 'x.sock');
  const refused = { message: `Cannot listen on unix://${path}: there is no folder "${dirname(path)}"` };
  await assert.rejects(checkPathFree(path), refused);
  await assert.rejects(listenOnPath(newServer(t), path, noLog), refused);
});

test('what listenOnPath() resolves with leaves the socket of another daemon alone, also when the server closes', async (t) => {
  const folder = newFolder(t);
  const path = join(folder, 'x.sock');
  const server = newServer(t);
  const remove = await listenOnPath(server, path, noLog);
  const second = join(folder, 'second.sock');
  await listenOnPath(newServer(t), second, noLog);
  renameSync(second, path);
  remove();
  await new Promise((resolve) => server.close(resolve));
  assert.equal(await answerOf(path), 'answer');
  remove();
});
