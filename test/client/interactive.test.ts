// The shell of the daemon's commands, as far as it needs no terminal: what bash reads first, and scripts. The daemon is
// one of 2013.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { commandNames, startText } from '../../src/client/interactive.js';
import { COMMANDS } from '../../src/server/server.js';
import { overviewText } from '../../src/rcli/usage.js';
import { temporaryFolder } from '../archive/tar-builder.js';
import { PROGRAM, type ClientResult } from '../harness.js';
import { OriginalDaemon } from './original-daemon.js';

const START = { names: ['ps'], program: ['/a b/node', "/it's"], address: 'h:1', isInteractive: true, bashEnv: '' };

/** Runs `tsdock -i ARGS < input` with folders of its own for HOME and temporary files. */
async function shell(
  t: TestContext,
  { args = [], input = '', env = {} }: { args?: string[]; input?: string; env?: NodeJS.ProcessEnv },
): Promise<ClientResult & { daemon: OriginalDaemon; folder: string; left: string[] }> {
  const daemon = await OriginalDaemon.start();
  t.after(() => daemon.close());
  const folder = temporaryFolder(t);
  const TMPDIR = join(folder, 'tmp');
  mkdirSync(TMPDIR);
  const options = { env: { ...process.env, DOCKER: daemon.address, HOME: folder, TMPDIR, ...env }, cwd: folder };
  const child = spawn(process.execPath, [PROGRAM, '-i', ...args], options);
  const result: ClientResult = { status: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (result.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (result.stderr += chunk.toString()));
  child.stdin.on('error', () => undefined); // no shell, no reader
  child.stdin.end(input);
  result.status = await new Promise((resolve) => child.once('close', resolve));
  return { ...result, daemon, folder, left: readdirSync(TMPDIR) };
}

test('commandNames() finds each command of an overview once, and help', () => {
  const names = commandNames(overviewText(COMMANDS));
  assert.deepEqual(names, ['help', ...COMMANDS.map(({ name }) => name)].sort());
  const text =
    'Usage: docker COMMAND [arg...]\n\nText\n\nCommands:\n    run       Run it\n    attach    A\n    attach    A\n';
  assert.deepEqual(commandNames(text), ['attach', 'help', 'run']);
});

test('commandNames() finds nothing where there is no overview', () => {
  for (const text of ['', 'Error: No such command: help\n', 'Commands:\n', '    ps        List\n'])
    assert.deepEqual(commandNames(text), []);
});

test('commandNames() takes nothing that is no plain word, and none that a shell cannot do without', () => {
  const lines = ['exit', 'command', 'tsdock', '$(id)', "a'b", 'x;y', 'ps'].map(
    (name) => `    ${name.padEnd(10)}Text\n`,
  );
  assert.deepEqual(commandNames(`Commands:\n${lines.join('')}`), ['help', 'ps']);
});

test('startText() quotes the words of the program, and reads what is of the user first', () => {
  const text = startText(START);
  assert.match(text, /^alias tsdock='.*'$/m);
  assert.ok(text.includes(`alias tsdock=''\\''/a b/node'\\'' '\\''/it'\\''\\'\\'''\\''s'\\'''`), text);
  assert.ok(text.indexOf('.bashrc') < text.indexOf('alias'), text);
  const ofScript = startText({ ...START, isInteractive: false, bashEnv: '/x/$(id)' });
  assert.ok(ofScript.indexOf("\n. '/x/$(id)'\n") < ofScript.indexOf('alias'), ofScript);
  assert.doesNotMatch(ofScript, /bashrc|PS1|printf/);
});

test('tsdock -i runs what is piped into it: commands, pipes, quotes, statuses', async (t) => {
  const input = `ps | sed 's/ID.*/table/'; echo $?
    run nosuch true; echo $?
    if rm 'a b' "c'd"; then echo removed; fi
    for id in $(ps | wc -l); do inspect "$id" | grep Tty; done
    command ls -d /tmp; builtin kill -0 $$ && echo alive
    exit 4`;
  const { status, stdout, stderr, daemon, left } = await shell(t, { input });
  assert.equal(stdout, 'table\n0\nError: No such image: nosuch\n1\nremoved\n        "Tty": false\n/tmp\nalive\n');
  assert.deepEqual([status, stderr, left], [4, '', []]);
  assert.ok(daemon.lines.includes('["rm","a b","c\'d"]'));
  assert.equal(daemon.lines[1], '["help"]');
});

test('tsdock -i runs a script with its arguments, and only what stands in it is hidden', async (t) => {
  const folder = temporaryFolder(t);
  const script = join(folder, 'script');
  writeFileSync(
    script,
    `f() { ps; }; f | grep -c COMMENT; echo "$@"; bash -c 'type -t ps; alias'; echo "[$BASH_ENV]"; tsdock ps | wc -l; [ -e /dev/fd/3 ] || echo closed`,
  );
  writeFileSync(join(folder, 'environment'), 'echo of the user\n');
  const { status, stdout, stderr } = await shell(t, { args: [script, 'a', 'b c'] });
  assert.deepEqual([status, stderr], [0, '']);
  assert.equal(stdout, '1\na b c\nfile\n[]\n1\nclosed\n');
  const again = await shell(t, { input: 'echo "$BASH_ENV"', env: { BASH_ENV: join(folder, 'environment') } });
  assert.equal(again.stdout, `of the user\n${join(folder, 'environment')}\n`);
});

test('tsdock -i gives the shell the address that -H names', async (t) => {
  const daemon = await OriginalDaemon.start();
  t.after(() => daemon.close());
  const { stdout } = await shell(t, { args: ['-H', daemon.address], input: 'echo $DOCKER; ps' });
  assert.match(stdout, new RegExp(`^${daemon.address}\nID .*\n$`));
  assert.equal(daemon.lines.at(-1), '["ps"]');
});

test('tsdock -i says what is missing: a daemon, an overview, a bash', async (t) => {
  const nobody = await shell(t, { args: ['-H', '127.0.0.1:1'] });
  assert.deepEqual([nobody.status, nobody.stdout], [1, '']);
  assert.match(nobody.stderr, /^tsdock: Cannot reach a daemon at 127\.0\.0\.1:1 /);
  const folder = temporaryFolder(t);
  symlinkSync(process.execPath, join(folder, 'node'));
  const noBash = await shell(t, { env: { PATH: folder } });
  assert.deepEqual(
    [noBash.status, noBash.stdout, noBash.stderr],
    [1, '', 'tsdock: Cannot open a shell: cannot run bash: spawn bash ENOENT\n'],
  );
});
