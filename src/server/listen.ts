// Addresses to listen on: what `HOST:PORT` says, and who has a port that is taken.

import { createServer, type AddressInfo, type Server } from 'node:net';
import { hasCode } from '../linux/libc.js';
import { portOwner } from '../linux/port-owner.js';
import { errorMessage } from '../util/errors.js';

/** Where to listen. */
export interface Address {
  host: string;
  port: number;
}

/** `HOST:PORT`; an IPv6 host stands in brackets. Throws for what is no address. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) throw new Error(`Invalid address "${text}": expected HOST:PORT`);
  return { host: bracketed ?? (plain || '127.0.0.1'), port };
}

/** Rejects as `listen` would, and leaves the address free. */
export async function checkFree(address: Address): Promise<void> {
  const server = createServer();
  await listen(server, address);
  await new Promise((resolve) => server.close(resolve));
}

/** Listens, and resolves with `HOST:PORT` as it came out. Rejects with the address, why, and who has it. */
export async function listen(server: Server, { host, port }: Address): Promise<string> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve();
      });
    });
  } catch (error) {
    if (!hasCode(error, 'EADDRINUSE')) {
      throw new Error(`Cannot listen on ${host}:${port}: ${errorMessage(error)}`, { cause: error });
    }
    const owner = portOwner('tcp', port);
    const who = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`;
    throw new Error(`Cannot listen on ${host}:${port}: the port is in use by ${who}`, { cause: error });
  }
  const bound = server.address() as AddressInfo; // a TCP server that listens has one
  return `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}
