// TLS in front of a server: who is let through, and who takes whose place.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import test, { after, before, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { certificateProblem, putBehindTls } from '../../src/rcli/tls.js';
import { Authority } from '../certificates.js';
import { readAll, until } from '../harness.js';

let authority: Authority;
let material: { ca: string; cert: string; key: string };
before(() => {
  authority = new Authority();
  const folder = authority.sign('daemon', { subjectAltName: 'IP:127.0.0.1' });
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
  material = { ca: read('ca.pem'), cert: read('cert.pem'), key: read('key.pem') };
});
after(() => authority.remove());

/** A server that says whether the certificate of its caller is good; its port. */
async function serve(t: TestContext, isWelcome: () => boolean): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.end(certificateProblem(socket) ?? 'good');
    socket.resume();
  });
  const judge = (): string | undefined => (isWelcome() ? undefined : 'no');
  putBehindTls(server, 'tcp', { material, isVerified: true }, judge, () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return { port, server };
}

async function callByTls(port: number, certificate: { cert?: string; key?: string } = {}): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, ca: material.ca, ...certificate });
  return (await readAll(socket)).toString();
}

test('certificateProblem() is told of each connection by itself', async (t) => {
  const { port } = await serve(t, () => true);
  const own = { cert: material.cert, key: material.key };
  assert.equal(await callByTls(port, own), 'good');
  assert.match(await callByTls(port), /^A certificate is demanded of callers, and there is none: /);
  assert.equal(await callByTls(port, own), 'good');
});

test('certificateProblem() refuses what came without TLS', () => {
  assert.equal(certificateProblem({ remoteAddress: '127.0.0.1' }), 'A caller without TLS cannot be known');
});

test('putBehindTls() does not let handshakes of the unwelcome take the place of others', async (t) => {
  let isWelcome = false;
  const { port, server } = await serve(t, () => isWelcome);
  const sockets = Array.from({ length: 80 }, () => connect({ host: '127.0.0.1', port }));
  t.after(() => sockets.forEach((socket) => socket.destroy()));
  for (const socket of sockets) socket.on('error', () => undefined).resume();
  const count = (): Promise<number> =>
    new Promise((resolve, reject) =>
      server.getConnections((error, n) => (error === null ? resolve(n) : reject(error))),
    );
  await until(() => sockets.every(({ connecting }) => !connecting), 'all are connected');
  await until(async () => (await count()) === 64, 'the rest is cut');
  isWelcome = true;
  assert.equal(await callByTls(port, { cert: material.cert, key: material.key }), 'good');
});
