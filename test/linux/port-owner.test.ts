// Who has a port: the kernel's tables of all kinds of sockets, and the processes behind them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSocket, type SocketType } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readlinkSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { portOwner } from '../../src/linux/port-owner.js';
import { removeTree } from '../../src/linux/remove-tree.js';
import { until } from '../harness.js';

/** A TCP server on a free port; closed after the test. */
async function listenOn(t: TestContext, host: string, port = 0): Promise<number> {
  const server = createServer((socket) => socket.resume()).listen(port, host);
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // a TCP server has one
}

/** A UDP socket on a free port; closed after the test. */
async function bindOn(t: TestContext, type: SocketType, host: string): Promise<number> {
  const socket = createSocket(type);
  t.after(() => socket.close());
  socket.bind(0, host);
  await once(socket, 'listening');
  return socket.address().port;
}

const isOurs = (protocol: 'tcp' | 'udp', port: number, address?: string): boolean =>
  portOwner(protocol, port, address)?.pid === process.pid;

test('portOwner() finds who listens on a TCP port', async (t) => {
  const owner = portOwner('tcp', await listenOn(t, '127.0.0.1'));
  assert.equal(owner?.pid, process.pid);
  assert.match(owner.command, /node/);
});

test('portOwner() finds who has a UDP port, and does not take it for one of TCP', async (t) => {
  for (const [type, host] of [
    ['udp4', '127.0.0.1'],
    ['udp6', '::'],
  ] as const) {
    const port = await bindOn(t, type, host);
    assert.ok(isOurs('udp', port), type);
    assert.equal(portOwner('tcp', port), undefined);
  }
  assert.equal(portOwner('udp', await listenOn(t, '127.0.0.1')), undefined);
});

test('portOwner() passes over a descriptor whose path is longer than the kernel tells', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'tsdock-test-'));
  t.after(() => removeTree(folder));
  const dig = `const fs = require('node:fs');
    for (let depth = 0; depth < 25; depth++) { fs.mkdirSync('n'.repeat(200)); process.chdir('n'.repeat(200)); }
    console.log(fs.openSync('.'));
    process.stdin.resume();`;
  const child = spawn(process.execPath, ['-e', dig], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const [fd] = (await once(child.stdout, 'data')) as [Buffer];
  assert.throws(() => readlinkSync(`/proc/${child.pid}/fd/${fd.toString().trim()}`), { code: 'ENAMETOOLONG' });
  // A process that comes later is looked at later.
  const listen = `const server = require('node:net').createServer().listen(0, () => console.log(server.address().port))`;
  const owner = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => owner.kill('SIGKILL'));
  const [port] = (await once(owner.stdout, 'data')) as [Buffer];
  assert.equal(portOwner('tcp', Number(port.toString()))?.pid, owner.pid);
});

test('portOwner() with an address passes over who does not keep others from it', async (t) => {
  const port = await listenOn(t, '127.0.0.2');
  assert.ok(isOurs('tcp', port, '127.0.0.2'));
  assert.ok(isOurs('tcp', port, '0.0.0.0'), 'all addresses are wanted');
  assert.equal(portOwner('tcp', port, '127.0.0.1'), undefined);
  const everywhere = await listenOn(t, '0.0.0.0');
  assert.ok(isOurs('tcp', everywhere, '127.0.0.1'));
});

test('portOwner() counts sockets of IPv6 that take IPv4 as well', async (t) => {
  assert.ok(isOurs('tcp', await listenOn(t, '::'), '127.0.0.1'));
  const mapped = await listenOn(t, '::ffff:127.0.0.2');
  assert.ok(isOurs('tcp', mapped, '127.0.0.2'));
  assert.equal(portOwner('tcp', mapped, '127.0.0.1'), undefined);
  const plain = await listenOn(t, '::1');
  assert.equal(portOwner('tcp', plain, '127.0.0.1'), undefined);
});

test('portOwner() passes over connections, and ports that nobody has', async (t) => {
  const socket = connect(await listenOn(t, '127.0.0.1'), '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  assert.equal(portOwner('tcp', socket.localPort ?? 0), undefined);
  assert.equal(portOwner('tcp', 0), undefined);
});

/** Starts a process that listens on a TCP port which was free just now; ended after the test. */
async function startListener(
  t: TestContext,
  before: string[],
  after: string[],
): Promise<{ pid: number; port: number }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server has one
  server.close();
  await once(server, 'close');
  const [command = '', ...args] = [...before, 'busybox', 'nc', '-l', '-p', String(port), ...after];
  const child = spawn(command, args, { stdio: 'ignore' });
  const pid = child.pid ?? 0;
  t.after(() => child.kill('SIGKILL'));
  const wanted = new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} \\S+ 0A `);
  const listens = (): boolean =>
    ['tcp', 'tcp6'].some((table) => wanted.test(readFileSync(`/proc/${pid}/net/${table}`, 'latin1')));
  await until(listens, 'it listens');
  return { pid, port };
}

test('portOwner() shows the command in one line, and not all of a long one', async (t) => {
  const { pid, port } = await startListener(t, [], ['-e', 'two\nlines', 'x'.repeat(1000)]);
  const command = `busybox nc -l -p ${port} -e two lines `;
  assert.deepEqual(portOwner('tcp', port), { pid, command: `${command.padEnd(100, 'x')}…` });
});

test('portOwner() does not see another network namespace', async (t) => {
  const { port } = await startListener(t, ['unshare', '--net'], []);
  assert.equal(portOwner('tcp', port), undefined);
});
