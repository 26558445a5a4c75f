// Listening on a host and a port, and who has a port that is taken.

import { createServer, type AddressInfo, type Server } from 'node:net';
import { hasCode } from '../linux/libc.js';
import { portOwner } from '../linux/port-owner.js';
import { showAddress, type TcpAddress } from '../util/address.js';
import { errorMessage } from '../util/errors.js';

/**
 * How many connections may wait to be taken; the kernel allows no more than net.core.somaxconn. One more would be tried again
 * by its caller's kernel, but not before a second has passed.
 */
export const BACKLOG = 4096;

/** Rejects as `listen` would, and leaves the addresses free. Two of them may be in each other's way. */
export async function checkFree(addresses: readonly TcpAddress[]): Promise<void> {
  const servers: Server[] = [];
  try {
    for (const address of addresses) {
      const server = createServer();
      await listen(server, address);
      servers.push(server);
    }
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

/** Listens, and resolves with the address and the port that it came to. Rejects with the address, why, and who has it. */
export async function listen(server: Server, address: TcpAddress): Promise<TcpAddress> {
  const { host, port } = address;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    if (!hasCode(error, 'EADDRINUSE')) {
      throw new Error(`Cannot listen on ${showAddress(address)}: ${errorMessage(error)}`, { cause: error });
    }
    const owner = portOwner('tcp', port);
    const who = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`;
    throw new Error(`Cannot listen on ${showAddress(address)}: the port is in use by ${who}`, { cause: error });
  }
  const bound = server.address() as AddressInfo; // a TCP server that listens has one
  return { host: bound.address, port: bound.port };
}
