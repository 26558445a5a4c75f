import test from 'node:test';
import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { holdPort } from '../../src/network/held-port.js';
import { PortAllocator } from '../../src/network/port-allocator.js';
import { parsePortSpec, type PortSpec, type Protocol } from '../../src/network/port-spec.js';

const specs = (...texts: string[]): PortSpec[] => texts.map(parsePortSpec);

/** A port that a server of this process has, until `release`. */
async function takenPort(address: string): Promise<{ port: number; release: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  const { port } = server.address() as AddressInfo; // a TCP server that listens has one
  return { port, release: () => new Promise((resolve) => server.close(() => resolve())) };
}

/** A port that nobody has. */
async function freePort(): Promise<number> {
  const { port, release } = await takenPort('0.0.0.0');
  await release();
  return port;
}

/** Whether somebody else could have the port now. */
async function isFree(protocol: Protocol, port: number): Promise<boolean> {
  const held = await holdPort(protocol, '', port).catch(() => undefined);
  held?.close();
  return held !== undefined;
}

test('PortAllocator.acquire() gives ports of 49153 to 65535, never one twice, and holds them', async () => {
  const ports = new PortAllocator();
  const given = (
    await Promise.all([1, 2, 3, 4].map((n) => ports.acquire(`c${n}`, specs('80', '80', '53/udp'))))
  ).flat();
  const numbers = given.map(({ publicPort, protocol }) => `${publicPort}/${protocol}`);
  assert.equal(new Set(numbers).size, 12);
  assert.ok(given.every(({ publicPort }) => publicPort >= 49_153 && publicPort <= 65_535));
  for (const { protocol, publicPort } of given)
    assert.equal(await isFree(protocol, publicPort), false, `${publicPort}`);
  ports.release(given);
  for (const { protocol, publicPort } of given) assert.equal(await isFree(protocol, publicPort), true, `${publicPort}`);
});

test('PortAllocator.acquire() takes the port that was asked for, and names the container that has it', async () => {
  const ports = new PortAllocator();
  const port = await freePort();
  const first = await ports.acquire('aaaaaaaa', specs(`${port}:80`));
  assert.deepEqual(
    first.map(({ publicPort }) => publicPort),
    [port],
  );
  await assert.rejects(
    ports.acquire('bbbbbbbb', specs(`127.0.0.1:${port}:80`)),
    new Error(`Cannot publish port 127.0.0.1:${port}/tcp: it is in use by container aaaaaaaa`),
  );
  const both = await ports.acquire('bbbbbbbb', specs(`${port}:80/udp`)); // another protocol is another port
  ports.release([...first, ...both]);
  ports.release(await ports.acquire('bbbbbbbb', specs(`${port}:80`)));
});

test('PortAllocator.acquire() names the process that has the port, and takes none of the others then', async () => {
  const ports = new PortAllocator();
  const free = await freePort();
  const { port, release } = await takenPort('127.0.0.1');
  try {
    await assert.rejects(ports.acquire('c', specs(`${free}:80`, `${port}:80`, '80')), (error: Error) => {
      const who = `it is in use by process ${process.pid} (`;
      return error.message.startsWith(`Cannot publish port ${port}/tcp: ${who}`);
    });
    assert.equal(await isFree('tcp', free), true);
  } finally {
    await release();
  }
  ports.release(await ports.acquire('c', specs(`${port}:80`)));
});

test('PortAllocator.acquire() refuses a port that is asked for twice, and an address of another machine', async () => {
  const ports = new PortAllocator();
  const port = await freePort();
  await assert.rejects(
    ports.acquire('c', specs(`${port}:80`, `${port}:81`)),
    new Error(`Cannot publish port ${port}/tcp: it is in use by this container, which asks for it twice`),
  );
  await assert.rejects(
    ports.acquire('c', specs(`203.0.113.1:${port}:80`)),
    new Error(`Cannot publish port 203.0.113.1:${port}/tcp: 203.0.113.1 is no address of this machine`),
  );
  assert.equal(await isFree('tcp', port), true);
});

test('PortAllocator.acquire() gives the same port on two addresses, as they do not meet', async () => {
  const ports = new PortAllocator();
  const port = await freePort();
  const one = await ports.acquire('a', specs(`127.0.0.1:${port}:80`));
  const other = await ports.acquire('b', specs(`127.0.0.2:${port}:80`));
  ports.release([...one, ...other]);
});

test('PortAllocator.claim() holds what a running container has, and says what it cannot hold', async () => {
  const ports = new PortAllocator();
  const { port, release } = await takenPort('0.0.0.0');
  const said: string[] = [];
  const bindings = specs(`${port}:80`, `${await freePort()}:81`);
  await ports.claim('aaaaaaaa', bindings, (line) => said.push(line));
  await assert.rejects(ports.acquire('b', [...bindings]), /in use by container aaaaaaaa$/);
  assert.match(said.join('\n'), new RegExp(`^container aaaaaaaa: cannot hold port ${port}/tcp: .*EADDRINUSE`));
  ports.release(bindings);
  await release();
});
