// What web pages in the browser of somebody who may call can have done: pages of others nothing, the daemon's own what its
// user clicks. With a real Chromium, whose user is root.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import test, { after, before } from 'node:test';
import { TestDaemon, until } from '../harness.js';
import { Chromium } from './chromium.js';

const RUN = '/run?q=base&q=true';
const LINE = '["run","base","true"]\n';
/** Names that lead here, though this machine does not bear them. The last is the machine's own. */
const HOSTS = { 'evil.test': '127.0.0.1', 'rebound.test': '127.0.0.1', [hostname()]: '127.0.0.1' };

let daemon: TestDaemon;
let browser: Chromium;
/** the server of the foreign pages, and what it was asked for */
let foreign = '';
let page = '';
const asked: string[] = [];
const server = createServer((request, response) => {
  asked.push(request.url ?? '');
  response.setHeader('Content-Type', 'text/html');
  response.end(request.url === '/page' ? page : '');
});
before(async () => {
  daemon = await TestDaemon.start();
  browser = await Chromium.start(HOSTS);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  foreign = `http://evil.test:${(server.address() as AddressInfo).port}`; // a TCP server that listens has one
});
after(async () => {
  server.closeAllConnections();
  server.close();
  await browser.close();
  await daemon.close();
});

/**
 * Lets Chromium open a foreign page, and waits until the daemon has had what the page sends, and logged for it as many lines
 * like `expected`. Fails where anything was obeyed.
 */
async function attack(html: string, expected: RegExp, count = 1): Promise<void> {
  page = `<!DOCTYPE html><title>evil</title><body>${html}</body>`;
  const before = daemon.log.length;
  await browser.open(`${foreign}/page`);
  const lines = (): string[] =>
    daemon.log
      .slice(before)
      .split('\n')
      .filter((line) => expected.test(line));
  await until(() => lines().length >= count, `the daemon has ${count} lines like ${expected.source}`).catch(
    (error: unknown) => {
      throw new Error(`the daemon says: ${daemon.log.slice(before)}`, { cause: error });
    },
  );
  assert.equal(await daemon.call('ps', '-a', '-q'), '', 'it was obeyed');
}

const http = (host = '127.0.0.1'): string => `http://${host}:${daemon.http.split(':').at(-1)}`;
const form = (action: string, method: string, body = '', enctype = 'text/plain'): string =>
  `<iframe name="f"></iframe><form id="x" target="f" action="${action}" method="${method}" enctype="${enctype}">
   <textarea name='${body}'></textarea></form><script>x.submit()</script>`;

test('a daemon does not obey a form of a foreign page', async () => {
  await attack(form(`${http()}${RUN}`, 'post'), /made no call: .*origin/);
  const fields = `<input type="hidden" name="q" value="base"><input type="hidden" name="q" value="true">`;
  const get = form(`${http()}/run`, 'get').replace('</form>', `${fields}</form>`);
  await attack(get, /made no call: .*(referer|sec-fetch-site)/);
  // A whole page instead of a frame: the user ends at the daemon, with its refusal before him.
  await browser.evaluate(`location.href = '${http()}${RUN}'`);
  await browser.shows(`${http()}${RUN}`);
  assert.match(await browser.text(), /^Error: Cannot do what another page asks/);
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('a daemon does not obey a request of a script of a foreign page', async () => {
  const send = (options: string): string => `<script>fetch('${http()}${RUN}', ${options}).catch(() => 0)</script>`;
  await attack(send(`{method: 'POST', mode: 'no-cors'}`), /made no call: .*origin/);
  await attack(send(`{method: 'POST'}`), /made no call: .*origin/);
  await attack(send(`{mode: 'no-cors', referrerPolicy: 'no-referrer'}`), /made no call: .*sec-fetch-site/);
  await attack(send(`{method: 'PUT', headers: {'X-Y': 'z'}}`), /made no call: .*origin/); // a preflight, which is all there is
  await attack(`<script>navigator.sendBeacon('${http()}${RUN}', 'x')</script>`, /made no call: .*origin/);
  await attack(`<script>new WebSocket('${http().replace('http', 'ws')}${RUN}')</script>`, /made no call: .*origin/);
  await attack(`<script src="${http()}${RUN}"></script>`, /made no call/);
});

test('a daemon does not obey an image, a frame or a link of a foreign page', async () => {
  await attack(`<img src="${http()}${RUN}">`, /made no call: .*(referer|sec-fetch-site)/);
  await attack(`<img referrerpolicy="no-referrer" src="${http()}${RUN}">`, /made no call: .*sec-fetch-site/);
  await attack(`<iframe src="${http()}${RUN}"></iframe>`, /made no call/);
  await attack(
    `<iframe sandbox="allow-scripts" srcdoc="<script>fetch('${http()}${RUN}',{method:'POST',mode:'no-cors'})</script>"></iframe>`,
    /made no call: .*origin is "null"/,
  );
  await attack(`<link rel="stylesheet" href="${http()}${RUN}">`, /made no call/);
});

test('a daemon does not obey an image by a name to which a browser tells less', async () => {
  const tag = `<img referrerpolicy="no-referrer" src="${http(hostname())}${RUN}">`;
  await attack(tag, /made no call: Cannot tell which page asks/);
});

test('a daemon does not obey what a foreign page sends to its TCP port', async () => {
  const raw = `http://127.0.0.1:${daemon.tcp.port}`;
  const refused = /^\S+ \S+ tcp \S+ made no call: Invalid call line: /;
  await attack(form(raw, 'post', LINE.trim()), refused);
  await attack(form(raw, 'post', LINE.trim(), 'multipart/form-data'), refused);
  const send = (options: string): string => `<script>fetch('${raw}${RUN}', ${options}).catch(() => 0)</script>`;
  const body = JSON.stringify(`\n${LINE}`);
  await attack(send(`{method: 'POST', mode: 'no-cors', body: ${body}}`), refused);
  await attack(send(`{method: 'POST', mode: 'no-cors'}`), refused);
  await attack(`<img src="${raw}${RUN}">`, refused);
  await attack(`<script>new WebSocket('${raw.replace('http', 'ws')}')</script>`, refused);
});

test('a daemon does not answer a foreign name that has come to lead to it', async () => {
  const before = daemon.log.length;
  await browser.open(`${http('rebound.test')}${RUN}`);
  assert.match(await browser.text(), /^Error: Cannot answer for the host "rebound\.test:\d+"/);
  // A page that had that name before is one of the same origin, and can read what it gets.
  assert.match(
    String(await browser.evaluate(`fetch('/ps').then((reply) => reply.text())`)),
    /^Error: Cannot answer for the host/,
  );
  await daemon.logged(/made no call: Cannot answer for the host/, before);
  assert.equal(await daemon.call('ps', '-a', '-q'), '');
});

test('a daemon does for its own page what its user wants', async () => {
  const id = (await daemon.call('run', 'base', 'true')).trim();
  for (const name of ['127.0.0.1', 'localhost', hostname()]) {
    await browser.open(`${http(name)}/web`);
    assert.equal(await browser.evaluate('document.title'), 'tsdock', name);
    await browser.evaluate(`document.querySelector('a[href="ps?q=-a"]').click()`);
    await browser.shows(`${http(name)}/ps?q=-a`);
    assert.match(await browser.text(), new RegExp(`^ID .*\n${id} `), name);
    assert.match(
      String(await browser.evaluate(`fetch('/ps?q=-a').then((reply) => reply.text())`)),
      new RegExp(id),
      name,
    );
    const post = `fetch('/mirror', {method: 'POST', body: 'own'}).then((reply) => reply.text())`;
    assert.equal(await browser.evaluate(post), 'own', name);
  }
  await browser.open(`${http()}/images`); // typed
  assert.match(await browser.text(), /^NAME/);
  assert.equal(await daemon.call('rm', id), '');
});

test('the foreign pages were opened', () => {
  assert.ok(asked.filter((url) => url === '/page').length > 15, asked.join(' '));
});
