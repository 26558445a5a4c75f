// web, mirror and debug.

import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readAll, TestDaemon, until } from '../harness.js';

let daemon: TestDaemon;
before(async () => void (daemon = await TestDaemon.start()));
after(() => daemon.close());

test('mirror sends back each piece before the input ends, and every byte as it is', async () => {
  const socket = await daemon.connect();
  let got = '';
  socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
  socket.write('["mirror"]\none\n');
  await until(() => got === 'one\n', 'the first line is back');
  socket.write('two');
  await until(() => got === 'one\ntwo', 'the second is back');
  socket.end();
  await readAll(socket);
  const bytes = randomBytes(1 << 20);
  assert.deepEqual(await daemon.raw(Buffer.concat([Buffer.from('["mirror"]\n'), bytes])), bytes);
});

test('debug writes each line into the log, in a form that cannot look like another one, and answers nothing', async () => {
  assert.equal(await daemon.callWith('hello\n\u001b[2Jé\n\nend', 'debug', 'x'), '');
  for (const line of ['"hello"', '"\\u001b[2Jé"', '""', '"end"']) {
    await until(() => daemon.log.includes(` debug: ${line}\n`), `the log has ${line}`);
  }
});

test('debug keeps no more of a line than it writes', async () => {
  assert.equal(await daemon.callWith(Buffer.alloc(1 << 24, 'x'), 'debug'), '');
  await until(() => daemon.log.includes(` debug: "${'x'.repeat(1000)}"\n`), 'the log has the line');
});

test('web -u is the address of a page, whose links lead to what the daemon answers', async () => {
  const url = (await daemon.call('web', '-u')).trim();
  assert.equal(url, `http://${daemon.http}/web`);
  const response = await fetch(url);
  assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
  const page = await response.text();
  assert.equal(page, await daemon.call('web'));
  const links = [...page.matchAll(/href="([^"]*)"/g)].map(([, link = '']) => link.replaceAll('&#38;', '&'));
  assert.ok(links.length > 30);
  for (const link of links) {
    assert.doesNotMatch(await (await fetch(new URL(link, url))).text(), /^Error|^$/, link);
  }
});

test('web -u says that there is no page where HTTP is off', async () => {
  const other = await TestDaemon.start({ args: ['--http', 'off'], withImage: false });
  assert.equal(
    await other.call('web', '-u'),
    'Error: Cannot tell the address of the web page: the HTTP server is off\n',
  );
  await other.close();
});

test('mirror and debug answer --help with their usage', async () => {
  for (const name of ['mirror', 'debug', 'web']) {
    assert.match(await daemon.call(name, '--help'), new RegExp(`^\nUsage: tsdock ${name}`));
    assert.equal(await daemon.call('help', name), await daemon.call(name, '-h'));
  }
});
