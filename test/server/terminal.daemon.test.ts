// A shell in a container, at a real terminal: tmux types and reads the screen.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { PROGRAM, TestDaemon, until } from '../harness.js';

const SOCKET = `tsdock-test-${process.pid}`;
const tmux = (...args: string[]): string => execFileSync('tmux', ['-L', SOCKET, '-f', '/dev/null', ...args]).toString();
const screen = (): string => tmux('capture-pane', '-p', '-t', 'main');
const type = (...keys: string[]): string => tmux('send-keys', '-t', 'main', ...keys);
const shows = (pattern: RegExp): Promise<void> =>
  until(() => pattern.test(screen()), `the screen shows ${String(pattern)}: ${screen()}`);

let daemon: TestDaemon;
before(async () => {
  daemon = await TestDaemon.start();
  const env = `DOCKER=127.0.0.1:${daemon.tcp.port} PS1='host> ' TSDOCK='${process.execPath} ${PROGRAM}'`;
  tmux('new-session', '-d', '-s', 'main', '-x', '90', '-y', '30', `env ${env} sh`);
  await shows(/host> /);
});
after(async () => {
  tmux('kill-server');
  await daemon.close();
});

test('tsdock run base sh is a shell with a terminal, job control, and the size of the window', async () => {
  type('$TSDOCK run base /bin/sh', 'Enter');
  await shows(/\/ # /);
  type('tty; stty size; echo pid $$', 'Enter');
  await shows(/\/dev\/pts\/\d+\n30 90\npid 2\n/);
  tmux('resize-window', '-t', 'main', '-x', '100', '-y', '35');
  await until(() => {
    type('clear; stty size', 'Enter');
    return /35 100/.test(screen());
  }, 'the new size is known inside');
  type('clear; sleep 100', 'Enter');
  await shows(/sleep 100\n/);
  type('C-c');
  type('echo after $?', 'Enter');
  await shows(/after 130/);
  type('clear; sleep 100 &', 'Enter');
  type('jobs', 'Enter');
  await shows(/Running +sleep 100/);
  assert.doesNotMatch(screen(), /no job control|can't access tty/);
  type('echo arrow', 'Enter');
  await shows(/\narrow\n/);
  type('clear', 'Enter');
  type('Up', 'Up', 'BSpace', 'S', 'Enter');
  await shows(/\narroS\n/);
});

test('exit 7 is the exit status outside, and the terminal is sane again', async () => {
  type('exit 7', 'Enter');
  await shows(/host> /);
  type('clear; echo status $?', 'Enter');
  await shows(/status 7\n/);
  type('stty -a', 'Enter');
  await shows(/[^-]icanon/);
  assert.match(screen(), /[^-]echo /);
});

test('Ctrl-D ends the shell', async () => {
  type('clear; $TSDOCK run base /bin/sh', 'Enter');
  await shows(/\/ # /);
  type('C-d');
  await shows(/host> /);
});

test('a lost daemon leaves one sentence and a sane terminal; the container goes on', async () => {
  type('clear; $TSDOCK run -c survivor base /bin/sh; stty -a | grep -c " -icanon"', 'Enter');
  await shows(/\/ # /);
  await daemon.end('SIGKILL');
  await shows(/tsdock: Lost the daemon at 127\.0\.0\.1:\d+ before the call ended.*\n0\n/s);
  await daemon.begin();
  assert.match(await daemon.call('ps'), /Up .*survivor/);
});

test('attach -i takes a shell over, and SIGTERM to the client restores the terminal', async () => {
  const [id = ''] = /^\w{8}(?=.*survivor)/m.exec(await daemon.call('ps')) ?? [];
  type(`clear; $TSDOCK attach -i ${id}; stty -a | grep -c " -icanon"`, 'Enter');
  type('echo here', 'Enter');
  await shows(/\nhere\n/);
  process.kill(pidOf(`attach -i ${id}`) ?? 0, 'SIGTERM');
  await shows(/\n0\n/);
  assert.match(await daemon.call('ps'), /Up .*survivor/);
});

function pidOf(command: string): number | undefined {
  try {
    const [first] = execFileSync('pgrep', ['-f', `^[^ ]*node .*${command}`])
      .toString()
      .trim()
      .split('\n');
    return first === undefined ? undefined : Number(first);
  } catch {
    return undefined; // pgrep found none
  }
}
