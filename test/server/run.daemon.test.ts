// `run` as its callers see it: over the wire of 2013, over HTTP and through the client.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readAll, TestDaemon, until } from '../harness.js';

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

test('run on the wire prints the id of a detached container', async () => {
  const id = (await daemon.call('run', '-c', 'a comment', 'base', 'sh', '-c', 'exit 9')).trim();
  assert.match(id, /^[0-9a-f]{8}$/);
  assert.equal(await daemon.stopped(id), '9');
  assert.match(await daemon.call('ps', '-a'), new RegExp(`${id} .* sh -c exit 9 .* Exit 9 +a comment\n`));
});

test('run -a on the wire merges both streams in order of arrival', async () => {
  // Each line is asked for once the one before has come: what is printed sooner may be fetched stream by stream.
  const script = 'echo one; read x; echo two >&2; read x; echo three';
  const socket = await daemon.connect();
  let shown = '';
  socket.on('data', (chunk: Buffer) => (shown += chunk.toString()));
  const ended = readAll(socket);
  socket.write(`${JSON.stringify(['run', '-a', '-i', 'base', 'sh', '-c', script])}\n`);
  for (const expected of ['one\n', 'one\ntwo\n']) {
    await until(() => shown === expected, `${JSON.stringify(expected)} has come: ${JSON.stringify(shown)}`);
    socket.write('\n');
  }
  assert.equal((await ended).toString(), 'one\ntwo\nthree\n');
});

test('run -a -i passes the input and its end', async () => {
  assert.equal(await daemon.callWith('b\nc\na', 'run', '-a', '-i', 'base', 'sort'), 'a\nb\nc\n');
});

test('run -a -i over HTTP takes the body as input', async () => {
  const url = `http://${daemon.http}/run?q=-a&q=-i&q=base&q=cat`;
  const response = await fetch(url, { method: 'POST', body: 'from the web\n' });
  assert.equal(await response.text(), 'from the web\n');
});

test('run -a -i -t passes on what was typed before the program was there', async () => {
  for (let count = 0; count < 5; count++) {
    const typed = daemon.callWith(
      'typed ahead\n',
      'run',
      '-a',
      '-i',
      '-t',
      'base',
      'sh',
      '-c',
      'read x; echo "got $x"',
    );
    assert.match(await typed, /got typed ahead\r\n$/);
  }
});

test('run -i without -a keeps the input open, and attach -i writes to it', async () => {
  const id = (await daemon.call('run', '-i', 'base', 'cat')).trim();
  const socket = await daemon.connect();
  socket.write(`${JSON.stringify(['attach', '-i', id])}\nhello\n`);
  const [first] = (await Promise.race([new Promise((resolve) => socket.once('data', (data) => resolve([data])))])) as [
    Buffer,
  ];
  assert.equal(first.toString(), 'hello\n');
  socket.end(); // the end of an attached input is not the program's
  assert.match(await daemon.call('ps'), new RegExp(`^${id} .* Up `, 'm'));
  const attached = readAll(socket);
  assert.equal(await daemon.call('kill', id), '');
  await attached;
});

test('tsdock run keeps the streams apart and has the exit status of the program', async () => {
  const result = await daemon.tsdock(['run', 'base', 'sh', '-c', 'echo out; echo err >&2; exit 3']);
  assert.deepEqual(result, { status: 3, stdout: 'out\n', stderr: 'err\n' });
});

test('tsdock run has 128 + n for signal n, and the record -1', async () => {
  const result = daemon.tsdock(['run', '-c', 'killed', 'base', 'sleep', '100']);
  await until(async () => /killed/.test(await daemon.call('ps')), 'it runs');
  const [id = ''] = /^\w{8}(?=.*killed)/m.exec(await daemon.call('ps')) ?? [];
  assert.equal(await daemon.call('kill', id), '');
  assert.equal((await result).status, 137);
  assert.equal(await daemon.call('wait', id), '-1\n');
});

test('tsdock run of a missing program is 127, with one line that says so', async () => {
  for (const name of ['nosuch', '/data/plain', '/data', '']) {
    const { status, stdout, stderr } = await daemon.tsdock(['run', 'base', name]);
    assert.equal(status, 127);
    assert.equal(stdout, '');
    assert.match(stderr, new RegExp(`^\\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d Unable to locate ${name}\n$`));
  }
});

test('tsdock run of an unknown image is 125, and no container is made', async () => {
  const before = await daemon.call('ps', '-a', '-q');
  const result = await daemon.tsdock(['run', 'nosuch', 'true']);
  assert.deepEqual(result, { status: 125, stdout: '', stderr: 'Error: No such image: nosuch\n' });
  assert.equal(await daemon.call('ps', '-a', '-q'), before);
});

test('tsdock run -d prints the id and leaves the program running', async () => {
  const { status, stdout } = await daemon.tsdock(['run', '-d', 'base', 'sleep', '100']);
  assert.equal(status, 0);
  assert.match(await daemon.call('ps'), new RegExp(`^${stdout.trim()} .* Up `, 'm'));
  assert.equal(await daemon.call('kill', stdout.trim()), '');
});

test('tsdock start -a -i runs a container again, with its input and its status', async () => {
  const id = (await daemon.call('run', '-i', 'base', 'sh', '-c', 'read x; echo "got $x"; exit 4')).trim();
  assert.equal(await daemon.call('kill', id), '');
  const result = await daemon.tsdock(['start', '-a', '-i', id], 'a line\n');
  assert.deepEqual(result, { status: 4, stdout: 'got a line\n', stderr: '' });
});

test('run without an image and a command is a shell of base: here the image has no bash, and says so', async () => {
  assert.match(await daemon.callWith('', 'run'), /Unable to locate \/bin\/bash\r\n$/);
});

test('run -u runs as a user of the image, by uid or by name, with and without a terminal', async () => {
  for (const user of ['alice', '1000']) {
    assert.equal(await daemon.call('run', '-a', '-u', user, 'base', 'sh', '-c', 'id -u; id -g'), '1000\n1001\n');
  }
  assert.equal(await daemon.call('run', '-a', '-t', '-u', 'alice', 'base', 'id', '-u'), '1000\r\n');
  const result = await daemon.tsdock(['run', '-u', 'alice', 'base', 'id', '-u']);
  assert.deepEqual(result, { status: 0, stdout: '1000\n', stderr: '' });
});

test('run -u of nobody in the image ends with status 1, and one line that says so', async () => {
  const result = await daemon.tsdock(['run', '-u', 'mallory', 'base', 'id']);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /^[\d/]+ [\d:]+ Unable to find user mallory: user: unknown user mallory\n$/);
});

test('run refuses a terminal type that could not stand in a configuration', async () => {
  const socket = await daemon.connect();
  const tty = { rows: 24, cols: 80, term: 'x\nlxc.hook.start = /bin/evil' };
  socket.end(`${JSON.stringify({ frames: 1, args: ['run', '-a', '-t', 'base', 'env'], tty })}\n`);
  assert.match((await readAll(socket)).toString(), /TERM=xterm\r\n/);
});

test('ten containers at once are all right, and after rm nothing is left of them', async () => {
  const runs = Array.from({ length: 10 }, (_, i) => daemon.tsdock(['run', 'base', 'sh', '-c', `echo ${i}; exit ${i}`]));
  for (const [i, result] of (await Promise.all(runs)).entries()) {
    assert.deepEqual(result, { status: i, stdout: `${i}\n`, stderr: '' });
  }
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  assert.ok(ids.length >= 10);
  assert.equal(await daemon.call('rm', ...ids), '');
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('config.json and userdata.json have the keys and the order of 2013', async () => {
  const id = (await daemon.call('run', '-c', 'my <note>', 'base', 'echo', 'a b')).trim();
  await daemon.stopped(id);
  const read = (name: string): string => readFileSync(join(daemon.directory, 'containers', id, name), 'utf8');
  const image = (await daemon.call('images', '-q', 'base')).trim();
  assert.equal(read('userdata.json'), `{"comment":"my \\u003cnote\\u003e","image":"${image}"}`);
  const config = JSON.parse(read('config.json')) as Record<string, unknown>;
  assert.deepEqual(Object.keys(config), [
    ...['Id', 'Root', 'Created', 'Path', 'Args', 'Config', 'Filesystem', 'State', 'NetworkSettings', 'SysInitPath'],
  ]);
});
