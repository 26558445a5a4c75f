// Forgetting UDP connections: real sockets, a real rule that leads them elsewhere, and the kernel's own record of both.

import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseIpv4 } from '../../src/network/ipv4.js';
import { until } from '../harness.js';
import { callInside } from './call.js';
import type { Records } from './connection-records.js';
import { Namespace } from './namespace.js';

const MODULE = new URL('../../src/network/conntrack.js', import.meta.url);
const RECORDS = new URL('connection-records.js', import.meta.url);
const SOCKET = fileURLToPath(new URL('udp-socket.js', import.meta.url));

/** All of them are the namespace's own; only the first is published. */
const [HOST, FIRST, SECOND] = ['10.77.0.1', '10.77.0.2', '10.77.0.3'] as const;
const PUBLIC_PORT = 5000;
const PRIVATE_PORT = 6000;

/** A socket in the namespace, which sends from one port and keeps what comes. */
class UdpSocket {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  #said = '';

  private constructor(process: ChildProcessByStdio<Writable, Readable, null>) {
    this.#process = process;
    process.stdout.on('data', (chunk: Buffer) => (this.#said += chunk.toString()));
  }

  static async open(t: TestContext, namespace: Namespace, address: string, port: number): Promise<UdpSocket> {
    const [command, ...args] = [...namespace.enter, process.execPath, SOCKET, address, String(port)];
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const socket = new UdpSocket(child);
    await until(() => socket.#said === 'ready\n', 'the socket is there');
    return socket;
  }

  get received(): string[] {
    return this.#said.split('\n').slice(1, -1);
  }

  /** Sends to the published port. */
  send(text: string): void {
    this.#process.stdin.write(`${HOST} ${PUBLIC_PORT} ${text}\n`);
  }

  receives(text: string): Promise<void> {
    return until(() => this.received.includes(text), `'${text}' arrives`);
  }
}

async function openNamespace(t: TestContext): Promise<Namespace> {
  const namespace = await Namespace.start();
  t.after(() => namespace.close());
  await namespace.ip(...[HOST, FIRST, SECOND].map((address) => `addr add ${address}/32 dev lo`));
  return namespace;
}

/** Leads the published port there, and no longer elsewhere; undefined: nowhere. */
async function lead(namespace: Namespace, target: string | undefined): Promise<void> {
  const rule = `-A OUTPUT -d ${HOST} -p udp --dport ${PUBLIC_PORT} -j DNAT --to-destination ${target ?? ''}:${PRIVATE_PORT}`;
  // Where no rule could ever translate, the kernel keeps no records; a daemon's masquerading is always there.
  const lines = ['*nat', '-F', `-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE`, ...(target === undefined ? [] : [rule])];
  await namespace.exec(
    'sh',
    '-c',
    'printf %s "$1" | iptables-restore --noflush -w',
    'sh',
    `${lines.join('\n')}\nCOMMIT\n`,
  );
}

function forgetUdp(namespace: Namespace, address: string): Promise<unknown> {
  return callInside(namespace, MODULE, 'forgetUdp', parseIpv4(address));
}

function forgetUdpElsewhere(namespace: Namespace, hostAddress: string, target: string): Promise<unknown> {
  const ports = { publicPort: PUBLIC_PORT, privatePort: PRIVATE_PORT, protocol: 'udp' };
  return callInside(namespace, MODULE, 'forgetUdpElsewhere', {
    ...ports,
    hostAddress,
    containerAddress: parseIpv4(target),
  });
}

function makeRecords(namespace: Namespace, records: Records): Promise<unknown> {
  return callInside(namespace, RECORDS, 'makeRecords', records);
}

async function countRecords(namespace: Namespace): Promise<number> {
  return Number(await callInside(namespace, RECORDS, 'countRecordsAtOnce'));
}

test('forgetUdp() lets a client that goes on sending reach where its port leads by now', async (t) => {
  const namespace = await openNamespace(t);
  const client = await UdpSocket.open(t, namespace, HOST, 4000);
  const first = await UdpSocket.open(t, namespace, FIRST, PRIVATE_PORT);
  const second = await UdpSocket.open(t, namespace, SECOND, PRIVATE_PORT);
  await lead(namespace, FIRST);
  client.send('one');
  await first.receives('one');

  await lead(namespace, SECOND);
  client.send('two');
  await first.receives('two'); // the kernel goes by its record: this is what has to be mended
  assert.equal(await forgetUdp(namespace, SECOND), 0, 'nothing is led there yet');
  assert.equal(await forgetUdp(namespace, FIRST), 1);
  client.send('three');
  await second.receives('three');

  assert.deepEqual(first.received, ['one', 'two']);
  assert.deepEqual(second.received, ['three']);
});

test('forgetUdpElsewhere() lets a client reach a port that was published after it began to send', async (t) => {
  const namespace = await openNamespace(t);
  const client = await UdpSocket.open(t, namespace, HOST, 4000);
  const holder = await UdpSocket.open(t, namespace, '0.0.0.0', PUBLIC_PORT);
  const first = await UdpSocket.open(t, namespace, FIRST, PRIVATE_PORT);
  await lead(namespace, undefined);
  client.send('one');
  await holder.receives('one');

  await lead(namespace, FIRST);
  client.send('two');
  await holder.receives('two'); // the kernel goes by its record, which leads nowhere
  assert.equal(await forgetUdpElsewhere(namespace, SECOND, FIRST), 0, 'it is published on another address');
  assert.equal(await forgetUdpElsewhere(namespace, '', FIRST), 1);
  client.send('three');
  await first.receives('three');
  assert.equal(await forgetUdpElsewhere(namespace, '', FIRST), 0, 'what is right stays');

  assert.deepEqual(holder.received, ['one', 'two']);
  assert.deepEqual(first.received, ['three']);
});

test('forgetUdp() forgets every connection to one address, and of the others none', async (t) => {
  const namespace = await openNamespace(t);
  await makeRecords(namespace, { count: 300, protocol: 17, destination: HOST, target: FIRST });
  await makeRecords(namespace, { count: 20, protocol: 6, destination: HOST, target: FIRST });
  await makeRecords(namespace, { count: 3, protocol: 17, client: '192.0.2.2', destination: FIRST, target: FIRST });
  await makeRecords(namespace, { count: 5, protocol: 17, destination: '192.0.2.99', target: SECOND });
  assert.equal(await countRecords(namespace), 328);
  assert.equal(await forgetUdp(namespace, FIRST), 300);
  assert.equal(await countRecords(namespace), 28);
  assert.equal(await forgetUdp(namespace, FIRST), 0);
});

test('forgetUdpElsewhere() leaves alone what is sent through this machine to the same port of another', async (t) => {
  const namespace = await openNamespace(t);
  await makeRecords(namespace, { count: 7, protocol: 17, destination: '192.0.2.99', target: '192.0.2.99' });
  await makeRecords(namespace, { count: 4, protocol: 6, destination: HOST, target: SECOND });
  await makeRecords(namespace, { count: 2, protocol: 17, destination: HOST, target: SECOND });
  await makeRecords(namespace, { count: 1, protocol: 17, destination: '127.0.0.1', target: '127.0.0.1' });
  assert.equal(await forgetUdpElsewhere(namespace, '', FIRST), 3);
  assert.equal(await countRecords(namespace), 11);
});
