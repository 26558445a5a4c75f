// Whose a connection is, asked of the kernel about real ones.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import test, { type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SocketOwners, type SocketOwner } from '../../src/linux/socket-owner.js';
import { parseIpAddress, type IpEnd } from '../../src/util/ip-address.js';

const NOBODY = 65534;
/** Connects to its argument's address and port, sends a byte, and does what it is told then. */
const CALLER = `
const socket = require('node:net').connect({ host: process.argv[1], port: Number(process.argv[2]), allowHalfOpen: true });
socket.on('connect', () => socket.write('x', () => process.stdout.write('sent')));
process.stdin.once('data', (word) => {
  if (String(word) === 'reset') socket.resetAndDestroy();
  else if (String(word) === 'half') socket.end();
  else process.exit();
});`;

const sockets = new SocketOwners();
test.after(() => sockets.close());

function socketOwner(own: IpEnd, other: IpEnd): SocketOwner | undefined {
  return sockets.of(own, other)[0];
}

async function listen(t: TestContext, host: string): Promise<{ server: Server; port: number }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port }; // a TCP server that listens has one
}

/** A process of `nobody` that connects, and our end of that. */
async function callAsNobody(
  t: TestContext,
  bound: string,
  host: string,
): Promise<{ socket: Socket; tell: (word: string) => void }> {
  const { server, port } = await listen(t, bound);
  const args = ['--reuid', String(NOBODY), '--clear-groups', process.execPath, '-e', CALLER, host, String(port)];
  const child = spawn('setpriv', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [[socket]] = (await Promise.all([once(server, 'connection'), once(child.stdout, 'data')])) as [
    [Socket],
    unknown,
  ]; // node:net documents it
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  return { socket, tell: (word) => void child.stdin.write(word) };
}

function endsOf({ remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Socket): [IpEnd, IpEnd] {
  const [peer, own] = [parseIpAddress(remoteAddress), parseIpAddress(localAddress)];
  assert.ok(peer && own);
  return [
    { address: peer, port: remotePort },
    { address: own, port: localPort },
  ];
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (; !condition(); await sleep(5)) assert.ok(performance.now() < deadline, `waited in vain until ${what}`);
}

for (const [bound, host] of [
  ['127.0.0.1', '127.0.0.1'],
  ['127.0.0.1', '::ffff:127.0.0.1'],
  ['::', '127.0.0.1'],
  ['::', '::ffff:127.0.0.1'],
  ['::1', '::1'],
  ['::', '::1'],
] as const) {
  test(`SocketOwners.of() finds both ends of a connection to ${host}, where ${bound} listens`, async (t) => {
    const { socket, tell } = await callAsNobody(t, bound, host);
    const [peer, own] = endsOf(socket);
    assert.equal(socketOwner(peer, own)?.uid, NOBODY);
    assert.equal(socketOwner(own, peer)?.uid, process.getuid?.());
    assert.deepEqual(
      sockets.of(peer, own).map((owner) => owner?.uid),
      [NOBODY, process.getuid?.()],
      'both at once',
    );
    tell('half');
    socket.resume();
    await once(socket, 'end');
    assert.equal(socketOwner(peer, own)?.uid, NOBODY, 'half closed');
  });
}

test('SocketOwners.of() takes a socket that no process has any more for nobody’s', async (t) => {
  const { socket, tell } = await callAsNobody(t, '127.0.0.1', '127.0.0.1');
  const [peer, own] = endsOf(socket);
  tell('exit'); // the kernel keeps the socket, until the daemon's end is closed, too
  await until(() => socketOwner(peer, own) === undefined, 'it is gone');
  assert.notEqual(socketOwner(own, peer), undefined, 'our end is there');
});

test('SocketOwners.of() finds neither end of a connection that was reset', async (t) => {
  const { socket, tell } = await callAsNobody(t, '127.0.0.1', '127.0.0.1');
  const [peer, own] = endsOf(socket);
  tell('reset');
  await until(() => socketOwner(peer, own) === undefined, 'it is gone');
  await until(() => socketOwner(own, peer) === undefined, 'our end has heard of it');
});

test('SocketOwners.of() does not take a socket that listens at an address for a connection from there', async (t) => {
  const { port } = await listen(t, '127.0.0.1');
  const { port: otherPort } = await listen(t, '127.0.0.1');
  const address = parseIpAddress('127.0.0.1');
  assert.ok(address);
  assert.equal(socketOwner({ address, port }, { address, port: otherPort }), undefined);
  assert.equal(socketOwner({ address, port }, { address, port: 0 }), undefined);
});

test('SocketOwners.of() knows nothing of a connection elsewhere', async (t) => {
  const { server, port } = await listen(t, '127.0.0.1');
  const client = connect(port, '127.0.0.1');
  t.after(() => client.destroy());
  const [socket] = (await once(server, 'connection')) as [Socket]; // node:net documents it
  t.after(() => socket.destroy());
  const [peer, own] = endsOf(socket);
  assert.equal(socketOwner({ ...peer, port: peer.port === 1 ? 2 : 1 }, own), undefined);
  const other = parseIpAddress('127.0.0.2');
  assert.ok(other);
  assert.equal(socketOwner({ ...peer, address: other }, own), undefined);
  assert.equal(socketOwner(peer, own)?.uid, process.getuid?.());
});
