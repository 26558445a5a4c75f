// An original client of 2013 drives our daemon. It is played here as it was seen on the wire: the words as Go marshals
// them, then whatever comes on its standard input, byte for byte and whether the command wants it or not, then a half-close;
// at a terminal, which it makes raw, there is no end of input, and each key is sent as it is pressed.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { goMarshal } from '../../src/util/go-json.js';
import { namesIn } from '../archive/read-archive.js';
import { archive, entry } from '../archive/tar-builder.js';
import { readAll, TestDaemon, until } from '../harness.js';

/** busybox asks the terminal behind it where the cursor is. */
const PROMPT = /# (\x1b\[6n)?$/;

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

/** `docker WORDS < input`, in pieces: all that it prints. */
async function docker(words: string[], input: string | Buffer = ''): Promise<string> {
  return (await dockerBytes(words, input)).toString();
}

async function dockerBytes(words: string[], input: string | Buffer = ''): Promise<Buffer> {
  const socket = await daemon.connect();
  const reply = readAll(socket);
  socket.write(`${goMarshal(words)}\n`);
  const bytes = Buffer.from(input);
  for (let at = 0; at < bytes.length; at += 32_768) socket.write(bytes.subarray(at, at + 32_768)); // as io.Copy
  socket.end();
  return reply;
}

/** `docker WORDS` at a terminal. */
async function atTerminal(
  ...words: string[]
): Promise<{ socket: Socket; shown: () => string; ended: Promise<unknown> }> {
  const socket = await daemon.connect();
  let shown = '';
  socket.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  const ended = new Promise((resolve) => socket.once('end', resolve));
  socket.write(`${goMarshal(words)}\n`);
  return { socket, shown: () => shown, ended };
}

async function run(...words: string[]): Promise<string> {
  const id = (await docker(['run', ...words])).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  return id;
}

test('an original client runs detached, and ps, wait, logs and inspect tell of it', async () => {
  const id = await run('-c', '<first> & only', 'base', 'sh', '-c', 'echo out; echo err >&2; exit 3');
  assert.equal(await docker(['wait', id]), '3\n');
  assert.match(
    await docker(['ps', '-a']),
    new RegExp(`^${id} +base:\\w+ +sh -c echo out; ech.* Exit 3 +<first> & only$`, 'm'),
  );
  assert.equal(await docker(['logs', id]), 'out\nerr\n');
  assert.match(await docker(['inspect', id]), new RegExp(`^\\{\n {4}"Id": "${id}",\n`));
  assert.equal(await docker(['rm', id]), '');
  assert.equal(await docker(['rm', id]), `Error: No such container: ${id}\n`);
});

test('an original client runs attached: stdout and stderr in one stream, its input to the end', async () => {
  // What is printed before the last line is in the log may be fetched stream by stream.
  const gate = (number: number): string => `while [ ! -e /data/${number} ]; do usleep 10000; done`;
  const script = `cat; ${gate(1)}; echo err >&2; ${gate(2)}; echo out`;
  const reply = docker(['run', '-a', '-i', '-c', 'gated', 'base', 'sh', '-c', script], 'in\n');
  let id = '';
  await until(async () => (id = /^\w{8}(?=.*gated)/m.exec(await docker(['ps']))?.[0] ?? '') !== '', 'it runs');
  for (const [index, logged] of ['in\n', 'in\nerr\n'].entries()) {
    await until(async () => (await docker(['logs', id])) === logged, `its log is ${JSON.stringify(logged)}`);
    writeFileSync(join(daemon.directory, 'containers', id, 'rootfs/data', String(index + 1)), '');
  }
  assert.equal(await reply, 'in\nerr\nout\n');
  const megabytes = Buffer.alloc(3_000_000, 'through\n');
  assert.ok((await dockerBytes(['run', '-a', '-i', 'base', 'cat'], megabytes)).equals(megabytes));
});

test('input that nobody asked for neither holds an original client up nor costs it the reply', async () => {
  for (const words of [
    ['run', '-a', 'base', 'echo', 'hi'],
    ['run', '-a', '-i', 'base', 'echo', 'hi'],
  ])
    assert.equal(await docker(words, Buffer.alloc(3_000_000)), 'hi\n');
  assert.equal(await docker(['run', 'nosuch', 'true'], Buffer.alloc(3_000_000)), 'Error: No such image: nosuch\n');
  assert.match(await docker(['ps'], Buffer.alloc(3_000_000)), /^ID {10}IMAGE .* COMMENT\n/);
});

test('an original client gets its reply without an end of its input', async () => {
  const call = await atTerminal('run', '-a', 'base', 'echo', 'hi');
  await call.ended;
  assert.equal(call.shown(), 'hi\n');
  call.socket.destroy();
});

test('an original client at a raw terminal has a shell: keys, Ctrl-C, exit', async () => {
  const call = await atTerminal('run', '-i', '-t', '-a', 'base', 'sh');
  await until(() => PROMPT.test(call.shown()), 'there is a prompt');
  call.socket.write("echo asl''eep; sleep 100\r");
  await until(() => /\r\nasleep\r\n$/.test(call.shown()), 'it sleeps');
  call.socket.write('\x03');
  await until(() => PROMPT.test(call.shown().split('^C')[1] ?? ''), 'the sleep has ended');
  call.socket.write('exit 5\r');
  await call.ended;
  call.socket.destroy();
  assert.match(await docker(['ps', '-a']), / sh .* Exit 5 /);
});

test("an original client attaches: the end of its input is not the program's, nor is its own end", async () => {
  const id = await run('-i', 'base', 'cat');
  const first = await atTerminal('attach', '-i', id);
  first.socket.write('a\n');
  await until(() => first.shown() === 'a\n', 'the first line came back');
  first.socket.end();
  const second = await atTerminal('attach', '-i', id);
  second.socket.write('b\n');
  await until(() => first.shown() === 'a\nb\n' && second.shown() === 'b\n', 'both see the second');
  first.socket.resetAndDestroy(); // killed
  assert.equal(await docker(['logs', id]), 'a\nb\n');
  assert.match(await docker(['ps']), new RegExp(`^${id} .* Up `, 'm'));
  assert.equal(await docker(['kill', id]), '');
  await second.ended;
  second.socket.destroy();
});

test('an original client puts, tars, commits, copies and removes images', async () => {
  const tar = archive(entry({ name: 'f', content: 'x'.repeat(300_000) }));
  assert.match(await docker(['put', 'small'], tar), /^small:[0-9a-f]{16}\n$/);
  const id = await run('base', 'sh', '-c', 'echo new > /new');
  await docker(['wait', id]);
  assert.equal(await docker(['diff', id]), 'A /new\n');
  assert.match(await docker(['commit', id, 'kept']), /^kept:[0-9a-f]{16}\n$/);
  const whole = await dockerBytes(['tar', id]);
  assert.ok(namesIn(whole).includes('./new'));
  assert.match(await docker(['put', 'flat'], whole), /^flat:/);
  assert.equal(await docker(['run', '-a', 'flat', 'cat', '/new']), 'new\n');
  assert.match(await docker(['cp', 'kept', 'again']), /^again:[0-9a-f]{16}\n$/);
  assert.equal(await docker(['rmi', 'again', 'flat', 'small']), '');
});

test('an original client writes, reads and lists files of a container', async () => {
  const id = await run('base', 'true');
  await docker(['wait', id]);
  const content = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, i) => i & 255));
  assert.equal(await docker(['write', id, '/data/sent'], content), '');
  assert.ok((await dockerBytes(['cat', id, '/data/sent'])).equals(content));
  assert.match(await docker(['ls', id, '/data']), /^sent$/m);
  assert.equal(await docker(['reset', id]), '');
  assert.match(await docker(['cat', id, '/data/sent']), /^Error: /);
  assert.equal(await docker(['umount', id]).then((text) => text.split('\n').length), 2);
});

test('an original client without a command gets the overview, with a wrong one an error', async () => {
  for (const words of [[], [''], ['help']])
    assert.match(await docker(words), /^Usage: tsdock COMMAND \[arg\.\.\.\]\n\n/);
  assert.equal(await docker(['nosuch']), 'Error: No such command: nosuch\n');
});
