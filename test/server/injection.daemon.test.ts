// What a caller says stays what it is: text. None of it becomes a line of an LXC configuration, an option of a program or
// of a mount, a command of a shell, or a path of its own making.
//
// Each hostile value would make a file, `mark`, if it were obeyed anywhere; none may be there in the end.

import test, { after, afterEach, before } from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeFrame, FrameDecoder, FrameType } from '../../src/rcli/frames.js';
import { archive, entry } from '../archive/tar-builder.js';
import { fixtureTar } from '../fixture.js';
import { PROGRAM, readAll, TestDaemon } from '../harness.js';

const ONE_ERROR = /^Error: [^\n]+\n$/;
const folder = fs.mkdtempSync(join(tmpdir(), 'tsdock-test-injection-'));
const mark = join(folder, 'mark');
const hook = `lxc.hook.pre-start = /bin/touch ${mark}`;
/** Each means something to somebody: a shell, LXC, the programs that we start, mount(8), a template, printf. */
const HOSTILE = [
  `; touch ${mark}`, `$(touch ${mark})`, `\`touch ${mark}\``, `| touch ${mark}`, `\n${hook}\n`, `x\r\n${hook}`, `x # ${hook}`,
  hook, `' ; touch ${mark} ; '`, `" ; touch ${mark} ; "`, `\\"; touch ${mark}`, `a=b`, `=`, `-f`, `--rcfile=${folder}/x`, `-o`, `--`,
  `--define=${hook}`, `../../../../..${mark}`, mark, `a,upperdir=/`, `a:b`, `{{rootfs}}`, `{{environment}}`, `%s%n`, `*`, `~`, `\t`,
  `\\040`, `ü☃😀`, ``, ` `, `\x1b[2J`, `lxc.include=${folder}/x`,
]; // prettier-ignore

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(async () => {
  await daemon.close();
  fs.rmSync(folder, { recursive: true, force: true });
});
afterEach(() => {
  assert.deepEqual(fs.readdirSync(folder), [], 'something was obeyed');
});

const newest = async (on = daemon): Promise<string> => (await on.call('ps', '-a', '-q')).split('\n')[0] ?? '';

/** The configuration of a container, its id and its terminal left open: two of the same kind have the same. */
function configOf(id: string, on = daemon): string[] {
  const text = fs.readFileSync(join(on.directory, 'containers', id, 'config.lxc'), 'utf8');
  return text
    .replaceAll(id, 'ID')
    .replaceAll(/\/dev\/pts\/\d+/g, '/dev/pts/N')
    .split('\n');
}

/** A run of `true` with nothing odd about it. */
async function harmlessConfig(...flags: string[]): Promise<string[]> {
  assert.doesNotMatch(await daemon.call('run', '-a', ...flags, 'base', 'true'), /Error/);
  return configOf(await newest());
}

test('what a run is given adds no line to its configuration', async () => {
  const [plain, withTerminal] = [await harmlessConfig(), await harmlessConfig('-t')];
  for (const value of HOSTILE) {
    const what = JSON.stringify(value);
    assert.doesNotMatch(await daemon.call('run', '-a', `-c=${value}`, 'base', 'true', value, value), /Error/, what);
    assert.deepEqual(configOf(await newest()), plain, what);
    // A program of that name is looked for, and not found.
    assert.match(await daemon.call('run', '-a', `-c=${value}`, 'base', `/nosuch/${value}`), /Unable to locate/, what);
    const reply = await daemon.call('run', '-a', `-u=${value}`, 'base', 'true');
    assert.match(reply, value === '' ? /^$/ : /^\S+ \S+ Unable to find user /, what);
  }
  assert.doesNotMatch(await daemon.call('run', '-a', '-t', 'base', 'true', ...HOSTILE), /Error/);
  assert.deepEqual(configOf(await newest()), withTerminal);
  await removeAll();
});

test('the name of a terminal that is no plain one is not believed', async () => {
  const plain = await harmlessConfig('-t');
  for (const term of HOSTILE) {
    const socket = await daemon.connect();
    const args = ['run', '-a', '-t', 'base', 'env'];
    socket.end(`${JSON.stringify({ frames: 1, args, tty: { rows: 24, cols: 80, term } })}\n`);
    const text = Buffer.concat(
      [...new FrameDecoder().push(await readAll(socket))].map(({ payload }) => payload),
    ).toString();
    const isName = /^[\w.+-]{1,64}$/.test(term);
    assert.match(text, isName ? /\nTERM=-/ : /TERM=xterm\r/, JSON.stringify(term));
    if (!isName) assert.deepEqual(configOf(await newest()), plain);
  }
  await removeAll();
});

test('arguments arrive byte for byte, over each transport, with a terminal and without', async () => {
  const script = 'cat "/proc/$$/cmdline"; true'; // the last command of a shell takes its place
  const command = ['sh', '-c', script, ...HOSTILE];
  const expected = Buffer.from(command.map((word) => `${word}\0`).join(''));
  const words = ['run', '-a', 'base', ...command];
  assert.deepEqual(await daemon.raw(`${JSON.stringify(words)}\n`), expected);
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify({ frames: 1, args: words })}\n`);
  socket.end(encodeFrame(FrameType.stdin, ''));
  const frames = [...new FrameDecoder().push(await readAll(socket))].filter(({ type }) => type === FrameType.stdout);
  assert.deepEqual(Buffer.concat(frames.map(({ payload }) => payload)), expected);
  const query = words
    .slice(1)
    .map((word) => `q=${encodeURIComponent(word)}`)
    .join('&');
  const overHttp = await (await fetch(`http://${daemon.http}/run?${query}`, { method: 'POST' })).arrayBuffer();
  assert.deepEqual(Buffer.from(overHttp), expected);
  const byClient = await daemon.tsdock(['run', 'base', ...command]);
  assert.deepEqual(Buffer.from(byClient.stdout), expected);
  // A terminal makes CR LF of a newline, so the bytes are told as numbers.
  const asNumbers = ['sh', '-c', 'od -v -An -tx1 "/proc/$$/cmdline"; true', ...HOSTILE];
  const inTerminal = await daemon.call('run', '-a', '-t', 'base', ...asNumbers);
  const bytes = Buffer.from(inTerminal.replaceAll(/\s/g, ''), 'hex');
  assert.deepEqual(bytes, Buffer.from(asNumbers.map((word) => `${word}\0`).join('')));
  await removeAll();
});

test('a program whose name looks like an option is run', async () => {
  const names = ['-f', '--', '-x', '--help', 'a b', 'a=b', 'new\nline', '$(id)'];
  const scripts = names.map((name) =>
    entry({ name: `bin/${name}`, mode: 0o755, content: '#!/bin/sh\necho "ran $1"\n' }),
  );
  const tar = fixtureTar();
  assert.match(await daemon.callWith(Buffer.concat([...scripts, tar]), 'put', 'odd'), /^odd:/);
  for (const name of names) {
    assert.equal(await daemon.call('run', '-a', 'odd', name, '-n'), 'ran -n\n', name);
    assert.equal(await daemon.call('run', '-a', '-t', 'odd', name, '-n'), 'ran -n\r\n', name);
  }
  await removeAll();
  await daemon.call('rmi', 'odd');
});

test('a NUL byte is refused in one line, or is no name of anything', async () => {
  assert.match(
    await daemon.call('run', 'base', 'echo', 'a\0b'),
    /^Error: Cannot run: an argument contains a NUL byte\n$/,
  );
  assert.match(await daemon.call('run', 'base', 'tr\0ue'), /^Error: Cannot run: an argument contains a NUL byte\n$/);
  const id = (await daemon.call('run', 'base', 'true')).trim();
  await daemon.stopped(id);
  for (const words of [
    ['cat', id, '/data/one\0'],
    ['ls', id, '/\0'],
    ['write', id, '/x\0y'],
    ['rm', `${id}\0`],
    ['pull', 'http://127.0.0.1:1/\0'],
  ])
    assert.match(await daemon.call(...words), ONE_ERROR, words[0]);
  assert.match(await daemon.call('run', '-a', '-u', 'root\0', 'base', 'true'), /Unable to find user/);
  await removeAll();
});

test('names of images and containers are looked up, and lead nowhere', async () => {
  const before = listed();
  const tar = archive(entry({ name: 'f', content: 'x' }));
  for (const value of HOSTILE.filter((name) => name !== '')) {
    const what = JSON.stringify(value);
    const id = await daemon.callWith(tar, 'put', '--', value);
    assert.match(id, /^[^]+:[0-9a-f]{16}\n$/, what);
    assert.equal(await daemon.call('images', '-q', '--', value), id, what);
    assert.match(await daemon.call('cp', '--', value, `${value}2`), /:[0-9a-f]{16}\n$/, what);
    assert.equal(await daemon.call('rmi', '--', value, `${value}2`), '', what);
    for (const word of ['rm', 'inspect', 'start', 'stop', 'kill', 'wait', 'logs', 'mount', 'umount', 'tar'])
      assert.match(await daemon.call(word, '--', value), /^Error: No such container[^]*\n$/, `${word} ${what}`);
    for (const flag of ['-p', '-net']) {
      const reply = await daemon.call('run', flag, value, 'base', 'true');
      if (value !== '') assert.match(reply, /^invalid value |^flag |^Error: /, `${flag} ${what}`);
    }
    assert.match(await daemon.call('run', `-net=container:${value}`, 'base', 'true'), /^invalid value |^Error: /, what);
    assert.match(await daemon.call('pull', '--', value), /^Error: Cannot pull /, what);
    assert.match(await daemon.call('pull', '--', `http://127.0.0.1:1/${value}`), /^Error: Cannot pull /, what);
  }
  await removeAll();
  assert.deepEqual(listed(), before);
});

test('a link in an image does not become a field of a mount entry', async () => {
  const plain = await harmlessConfig();
  for (const target of [
    `x none bind 0 0\n${hook}\n#`,
    `a b`,
    `\\040`,
    `/proc/self/fd/0`,
    '../../../../etc/passwd',
    `x${hook}`,
  ]) {
    const tar = Buffer.concat([
      entry({ name: 'etc/', type: '5', mode: 0o755 }),
      entry({ name: 'etc/hosts', type: '2', linkName: target }),
      entry({ name: `etc/${target}`.replace(/\.\.\//g, ''), content: 'x' }),
    ]);
    const whole = withoutHosts(fixtureTar());
    assert.match(await daemon.callWith(Buffer.concat([tar, whole]), 'put', 'linked'), /^linked:/);
    assert.equal(await daemon.call('run', '-a', 'linked', 'echo', 'ran'), 'ran\n');
    const config = configOf(await newest());
    assert.deepEqual(
      config.filter((line) => !plain.includes(line) && !/ etc\/passwd none bind,optional /.test(line)),
      [],
    );
    await daemon.call('rmi', 'linked');
  }
  await removeAll();
});

/** What a person, or a program that went wrong, may have written into config.json. */
const ON_DISK: Readonly<Record<string, unknown>> = {
  Hostname: `x\n${hook}`,
  Term: `xterm\n${hook}`,
  User: `0\n${hook}`,
  Ram: `1\n${hook}`,
  Net: `host\n${hook}`,
  PortSpecs: [`80\n${hook}`, `; touch ${mark}`],
};

test('what is on disk adds no line either', { timeout: 120_000 }, async () => {
  const plain = await harmlessConfig('-t');
  const id = await newest();
  const path = join(daemon.directory, 'containers', id, 'config.json');
  const text = fs.readFileSync(path, 'utf8');
  for (const [key, value] of Object.entries(ON_DISK)) {
    await daemon.end();
    const json = JSON.parse(text) as { Config: Record<string, unknown> }; // as the daemon wrote it
    fs.writeFileSync(path, JSON.stringify({ ...json, Config: { ...json.Config, [key]: value } }));
    await daemon.begin();
    // It may be refused, by whom ever, or run as if the value were not there.
    assert.match(await daemon.call('start', '-a', id), /^(Error: [^\n]*\n|[^\n]* Unable to find user [^]*)?$/, key);
    assert.deepEqual(configOf(id), plain, key);
  }
  await removeAll();
});

const NAMES = [
  ' a  b ', 'a=b', '#a', 'a,b:c', 'back\\slash\\040', `q"u'o`, '{{rootfs}}', '%s*?[', 'lowerdir=x,upperdir=y:z', 'ü☃', '-g',
  `$(touch mark);\`touch mark\`|touch mark&`,
]; // prettier-ignore

for (const driver of ['overlay', 'vfs']) {
  test(`a data directory may have any name that is one line (${driver})`, { timeout: 180_000 }, async () => {
    const parent = fs.realpathSync(fs.mkdtempSync(join(tmpdir(), 'tsdock-test-')));
    try {
      // All in one path, which each of them has to get through.
      const directory = join(parent, ...NAMES);
      fs.mkdirSync(directory, { recursive: true });
      const odd = await TestDaemon.start({ directory, args: ['--driver', driver] });
      try {
        assert.equal(
          await odd.call('run', '-a', 'base', 'sh', '-c', 'echo ran; echo new > /data/new; rm /data/one'),
          'ran\n',
        );
        const id = await newest(odd);
        assert.equal(await odd.call('diff', id), 'C /data\nD /data/one\nA /data/new\n');
        assert.match(await odd.call('commit', id, 'more'), /^more:/);
        assert.equal(await odd.call('run', '-a', '-t', 'more', 'ls', '/data'), 'new    plain\r\n');
        assert.equal(await odd.call('mount', id), `${id}\n`);
        assert.equal(await odd.call('cat', id, '/data/new'), 'new\n');
        assert.equal(await odd.call('umount', id), `${id}\n`);
        const config = configOf(id, odd).filter((line) => /^\s*[^#\s]/.test(line));
        const keys = (lines: readonly string[]): string[] => lines.map((line) => line.split('=')[0]?.trim() ?? '');
        const plain = (await harmlessConfig()).filter((line) => /^\s*[^#\s]/.test(line));
        assert.deepEqual(keys(config), keys(plain));
        assert.ok(config.includes(`lxc.rootfs.path = dir:${directory}/containers/ID/rootfs`), config.join('\n'));
      } finally {
        await odd.close();
      }
    } finally {
      fs.rmSync(parent, { recursive: true, force: true });
    }
    await removeAll();
  });
}

test('a data directory whose name is more than a line is refused, and not made', () => {
  for (const name of [`new\nline`, `tab\t`, `x\n${hook}`]) {
    const directory = join(folder, name);
    const refused = spawnDaemon(['-g', directory]);
    assert.match(refused, /^tsdock: Cannot use the data directory "[^\n]*": [^\n]*control character[^\n]*\n$/);
  }
  const link = join(folder, 'link');
  const target = fs.mkdtempSync(join(tmpdir(), 'tsdock-test-\n'));
  fs.symlinkSync(target, link);
  assert.match(
    spawnDaemon(['-g', link]),
    /^tsdock: Cannot use the data directory "[^\n]*": [^\n]*control character[^\n]*\n$/,
  );
  assert.deepEqual(fs.readdirSync(target), []);
  fs.rmdirSync(target);
  fs.unlinkSync(link);
});

test('a bridge has a name, and no option or command', () => {
  for (const value of [`x;touch ${mark}`, '-x', `a\nb`, '../x']) {
    const directory = fs.mkdtempSync(join(tmpdir(), 'tsdock-test-'));
    assert.match(spawnDaemon(['-g', directory, '--bridge', value]), /^tsdock: [^]*\n$/, value);
    assert.match(spawnDaemon(['-g', directory, '--bridge', 'tsdfuzz0', '--bip', value]), /^tsdock: [^]*\n$/, value);
    fs.rmSync(directory, { recursive: true });
  }
});

/** Starts a daemon that is to refuse its start: what it complains of. */
function spawnDaemon(args: readonly string[]): string {
  try {
    const ports = ['-H', '127.0.0.1:0', '--http', 'off'];
    execFileSync(process.execPath, [PROGRAM, '-d', ...ports, ...args], { stdio: 'pipe', timeout: 20_000 });
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr); // of execFileSync
  }
  return assert.fail('it did not refuse');
}

/** What there is of images and containers on the disk. */
function listed(): string[] {
  return ['images/layers', 'containers', '.'].flatMap((name) => fs.readdirSync(join(daemon.directory, name)).sort());
}

async function removeAll(): Promise<void> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  if (ids.length > 0) assert.equal(await daemon.call('rm', '-f', ...ids), '');
}

/** The fixture without its own etc/hosts, which would replace what stands before it. */
function withoutHosts(tar: Buffer): Buffer {
  const at = tar.indexOf('./etc/hosts\0');
  return Buffer.concat([tar.subarray(0, at), tar.subarray(at + 512)]);
}
