// A shell in a container, at a real terminal: tmux types and reads the screen.

import test, { after, before, type TestContext } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { encodeFrame, FrameDecoder, FrameType } from '../../src/rcli/frames.js';
import { PROGRAM, TestDaemon, until } from '../harness.js';

const SOCKET = `tsdock-test-${process.pid}`;
const tmux = (...args: string[]): string => execFileSync('tmux', ['-L', SOCKET, '-f', '/dev/null', ...args]).toString();
const screen = (): string => tmux('capture-pane', '-p', '-t', 'main');
const type = (...keys: string[]): string => tmux('send-keys', '-t', 'main', ...keys);
/** Types a line on a screen that has been emptied. A quoted '' inside a word keeps what is typed from what is printed. */
function enter(line: string): void {
  tmux('send-keys', '-R', '-t', 'main');
  type(line, 'Enter');
}
const shows = (pattern: RegExp): Promise<void> =>
  until(() => pattern.test(screen()), `the screen shows ${String(pattern)}: ${screen()}`);

/** Also where the test run is ended from outside. */
function killServer(): void {
  process.off('exit', killServer);
  spawnSync('tmux', ['-L', SOCKET, 'kill-server']);
}
process.on('exit', killServer);

const HELLO = encodeFrame(FrameType.hello, JSON.stringify({ name: 'tsdock', version: 'test' }));
const SUCCESS = encodeFrame(FrameType.status, JSON.stringify({ status: 0 }));

/** A daemon that does what no real one can be made to: `answer` has each call, its line read. Resolves with its address. */
async function playDaemon(t: TestContext, answer: (socket: Socket) => void): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return `127.0.0.1:${port}`;
}

let daemon: TestDaemon;
before(async () => {
  daemon = await TestDaemon.start();
  const env = `DOCKER=127.0.0.1:${daemon.tcp.port} PS1='host> ' NODE='${process.execPath}' PROGRAM='${PROGRAM}'`;
  tmux('new-session', '-d', '-s', 'main', '-x', '90', '-y', '30', `env ${env} sh`);
  await shows(/host>\s*$/);
  enter('tsdock() { "$NODE" "$PROGRAM" "$@"; }');
  await shows(/host>\s*$/);
});
after(async () => {
  killServer();
  await daemon.close();
});

test('tsdock run base sh is a shell with a terminal, job control, and the size of the window', async () => {
  enter('tsdock run base /bin/sh');
  await shows(/\/ #\s*$/);
  enter('tty; stty size; echo pid $$');
  await shows(/\/dev\/pts\/\d+\n30 90\npid 2\n/);
  tmux('resize-window', '-t', 'main', '-x', '100', '-y', '35');
  enter('until [ "$(stty size)" = "35 100" ]; do usleep 20000; done; echo res\'\'ized');
  await shows(/\nresized\n/);
  enter("(echo asl''eep; exec sleep 100)"); // a job of its own, which the terminal belongs to when it says so
  await shows(/\nasleep\n/);
  type('C-c');
  enter('echo after $?');
  await shows(/\nafter 130\n/);
  enter('sleep 100 &');
  enter('jobs');
  await shows(/Running +sleep 100/);
  assert.doesNotMatch(screen(), /no job control|can't access tty/);
  enter('echo arrow');
  await shows(/\narrow\n\/ #\s*$/); // the prompt too: before, a key is the terminal's
  type('Up', 'BSpace', 'S', 'Enter');
  await shows(/\narroS\n/);
});

test('exit 7 is the exit status outside, and the terminal is sane again', async () => {
  enter('exit 7');
  await shows(/host>\s*$/);
  enter('echo status $?; stty -a');
  await shows(/\nstatus 7\n[\s\S]* icanon [\s\S]* echo /);
});

test('Ctrl-D ends the shell', async () => {
  enter('tsdock run base /bin/sh');
  await shows(/\/ #\s*$/);
  type('C-d');
  await shows(/host>\s*$/);
});

test('nothing is shown before the terminal is raw: its answer to a question in it is not echoed', async (t) => {
  let answer = '';
  const address = await playDaemon(t, (socket) => {
    // Sooner than any container: in one piece with the hello, and while the client loads what makes the terminal raw.
    socket.write(Buffer.concat([HELLO, encodeFrame(FrameType.stdout, 'cursor?\x1b[6n')]));
    setTimeout(() => socket.write(encodeFrame(FrameType.stdout, '\x1b[6n\r\n')), 2);
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString('latin1');
      if (/R[^]*R$/.test(answer)) socket.end(SUCCESS);
    });
  });
  enter(`DOCKER=${address} "$NODE" "$PROGRAM" run -i -t base /bin/sh`);
  await shows(/cursor\?[^]*host>\s*$/);
  assert.equal(answer.match(/\x1b\[\d+;\d+R/g)?.length, 2);
  assert.doesNotMatch(screen(), /\^\[/);
});

test('a size that the terminal gets while the call begins is told', async (t) => {
  const told: string[] = [];
  const address = await playDaemon(t, (socket) => {
    const decoder = new FrameDecoder();
    socket.on('data', (chunk: Buffer) => {
      for (const { type, payload } of decoder.push(chunk)) {
        if (type === FrameType.window) told.push(payload.toString('utf8'));
      }
    });
    tmux('resize-window', '-t', 'main', '-x', '80', '-y', '28');
    const terminal = tmux('display-message', '-p', '-t', 'main', '#{pane_tty}').trim();
    const size = (): string => execFileSync('stty', ['-F', terminal, 'size']).toString();
    until(() => size() === '28 80\n', 'the terminal has its new size').then(
      () => socket.write(HELLO),
      () => socket.destroy(),
    );
    void until(() => told.length > 0, 'the size is told')
      .catch(() => undefined)
      .then(() => socket.end(SUCCESS));
  });
  enter(`DOCKER=${address} "$NODE" "$PROGRAM" run -i -t base /bin/sh; echo le''ft`);
  await until(() => /\nleft\n/.test(screen()), 'the call has ended', 30_000);
  assert.deepEqual(told, ['{"rows":28,"cols":80}']);
});

test('a lost daemon leaves one sentence and a sane terminal; the container goes on', async () => {
  enter('tsdock run -c survivor base /bin/sh; stty -a | grep -c " -icanon"');
  await shows(/\/ #\s*$/);
  await daemon.end('SIGKILL');
  await shows(/tsdock: Lost the daemon at 127\.0\.0\.1:\d+ before the call ended.*\n0\n/s);
  await daemon.begin();
  assert.match(await daemon.call('ps'), /Up .*survivor/);
});

test('attach -i takes a shell over, and SIGTERM to the client restores the terminal', async () => {
  const [id = ''] = /^\w{8}(?=.*survivor)/m.exec(await daemon.call('ps')) ?? [];
  enter(`tsdock attach -i ${id}; stty -a | grep -c " -icanon"`);
  await until(() => pidOf(`attach -i ${id}`) !== undefined, 'the client runs');
  enter("echo he''re");
  await shows(/\nhere\n\/ #\s*$/); // the prompt too, which the last line of all will stand behind
  process.kill(pidOf(`attach -i ${id}`) ?? 0, 'SIGTERM');
  await shows(/# 0\n/); // right behind the prompt of the shell inside
  assert.match(await daemon.call('ps'), /Up .*survivor/);
});

function pidOf(command: string): number | undefined {
  try {
    const [first] = execFileSync('pgrep', ['-f', `^[^ ]*(node .*|tsdock )${command}`])
      .toString()
      .trim()
      .split('\n');
    return first === undefined ? undefined : Number(first);
  } catch {
    return undefined; // pgrep found none
  }
}
