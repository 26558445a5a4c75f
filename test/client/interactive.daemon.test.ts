// The shell of the daemon's commands at a real terminal, and a terminal before an original daemon.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { PROGRAM, TestDaemon, until } from '../harness.js';
import { OriginalDaemon } from './original-daemon.js';
import { Screen } from './screen.js';

const PROMPT = /\S+ tsdock>\s*$/;
const HOME = mkdtempSync(join(tmpdir(), 'tsdock-test-home-'));
const OWN = { HOME, NODE: process.execPath, PROGRAM, TERM: 'screen' };

let daemon: TestDaemon;
let screen: Screen;
before(async () => {
  daemon = await TestDaemon.start();
  writeFileSync(
    join(HOME, '.bashrc'),
    "PS1='mine> '\nPROMPT_COMMAND='PS1=mine'\nalias ps='echo mine'\nalias hello='echo hel''lo'\n",
  );
  screen = new Screen('"$NODE" "$PROGRAM" -i; echo "left with $?"; exec cat', { ...OWN, DOCKER: addressOf(daemon) });
  await screen.shows(PROMPT);
});
after(async () => {
  screen.close();
  rmSync(HOME, { recursive: true, force: true });
  await daemon.close();
});

function addressOf({ tcp }: TestDaemon): string {
  return `${tcp.host}:${tcp.port}`;
}

test('tsdock -i says whose commands there are, and how to get the hidden ones', () => {
  const text = screen.text.replaceAll('\n', ' ');
  assert.ok(text.includes(`The commands of the daemon at ${addressOf(daemon)} are commands of this shell`), text);
  for (const part of [/ attach cat commit /, /"command ls" and "builtin wait"/, /"exit" leaves/])
    assert.match(text, part);
});

test('tsdock -i runs commands, pipes and quotes, and tells their status', async () => {
  screen.enter("run base sh -c 'echo sta''rted; exit 3'; echo status $?");
  await screen.shows(/\nstarted\n\S*status 3\n/);
  screen.enter('logs $(ps -a -q) | tr a-z A-Z; images | grep -c ^base');
  await screen.shows(/\nSTARTED\n1\n/);
  screen.enter('wait $(ps -a -q) | sed s/^/code/; help nosuch');
  await screen.shows(/\ncode3\nError: No such command: nosuch\n/);
});

test("tsdock -i reads the user's .bashrc first, and hides what it has of the same names", async () => {
  screen.enter('hello; ps -a | head -1; ech"o" "$PWD" | grep -c .');
  await screen.shows(/\nhello\nID +IMAGE [^]*\n1\n/);
  screen.enter("command ps -p $$ -o comm=; builtin wait; command ls -d /; \\kill -0 $$ && echo al''ive");
  await screen.shows(/\nbash\n\/\nalive\n/);
});

test('tsdock -i has a terminal for a program, history, and a Ctrl-C that leaves the shell alone', async () => {
  screen.enter('run base sh');
  await screen.shows(/\/ #\s*$/);
  screen.enter('tty; exit 6');
  await screen.shows(/\/dev\/pts\/\d+\n/);
  await screen.shows(PROMPT);
  screen.enter('echo status $?');
  await screen.shows(/\nstatus 6\n\S+ tsdock>\s*$/); // the prompt too: before, a key is the terminal's
  screen.type('Up', 'BSpace', 'BSpace', '0', '0', 'Enter');
  await screen.shows(/\nstatus 00\n/);
  const id = (await daemon.call('run', 'base', 'sh', '-c', 'echo fir""st; sleep 100')).trim();
  screen.enter(`logs -f ${id}`);
  await screen.shows(/\nfirst\n/);
  screen.type('C-c');
  await screen.shows(PROMPT);
  screen.enter('echo interrupted $?');
  await screen.shows(/\ninterrupted 130\n/);
  screen.enter(`kill ${id}; ps | grep -c ${id}`);
  await screen.shows(/\n0\n/);
  screen.type('half a line', 'C-c');
  screen.enter("echo al''one");
  await screen.shows(/\nalone\n/);
});

test('exit leaves tsdock -i with its status', async () => {
  screen.enter('exit 7');
  await screen.shows(/left with 7\n/);
});

test('a terminal before an original daemon is raw for a program with a terminal, and sane again afterwards', async () => {
  const original = await OriginalDaemon.start();
  const words = { ...OWN, DOCKER: original.address };
  for (const command of ['run base sh', 'attach -i withtty']) {
    const before = original.seen.length;
    const terminal = new Screen(`"$NODE" "$PROGRAM" ${command}; stty -a; exec cat`, words);
    const seen = (): string => original.seen.at(-1)?.input.toString() ?? '';
    await until(
      () => original.seen.length > before && /^\["(run|attach)/.test(original.lines.at(-1) ?? ''),
      'it is called',
    );
    terminal.type('a', 'Enter', 'C-c');
    await terminal.shows(/got "a\\r\\u0003"[^]* icanon [^]* echo /);
    assert.equal(seen(), 'a\r\x03', command);
    terminal.close();
  }
  original.close();
});

test('a terminal before an original daemon stays cooked with NORAW=1, and for a program without a terminal', async () => {
  const original = await OriginalDaemon.start();
  for (const [command, NORAW] of [
    ['run base sh', '1'],
    ['attach -i notty', ''],
  ] as const) {
    const terminal = new Screen(`trap : INT; "$NODE" "$PROGRAM" ${command}; echo "left with $?"; exec cat`, {
      ...OWN,
      DOCKER: original.address,
      NORAW,
    });
    await until(() => /^\["(run|attach)/.test(original.lines.at(-1) ?? ''), 'it is called');
    terminal.type('a', 'Enter');
    await until(() => original.seen.at(-1)?.input.toString() === 'a\n', 'a line came');
    terminal.type('C-c');
    await terminal.shows(/left with 130\n/);
    terminal.close();
    original.seen.length = 0;
  }
  original.close();
});
