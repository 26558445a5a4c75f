// Addresses to listen on: what `HOST:PORT` says, and who has a port that is taken.

import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import type { AddressInfo, Server } from 'node:net';
import { hasCode } from '../linux/libc.js';
import { errorMessage } from '../util/errors.js';
import { processArguments } from '../linux/process.js';

/** Where to listen. */
export interface Address {
  host: string;
  port: number;
}

/** Port in hexadecimal and state LISTEN, in the lines of /proc/net/tcp. */
const LISTEN = '0A';

/** `HOST:PORT`; an IPv6 host stands in brackets. Throws for what is no address. */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) throw new Error(`Invalid address "${text}": expected HOST:PORT`);
  return { host: bracketed ?? (plain || '127.0.0.1'), port };
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
    const owner = portOwner(port);
    const who = owner === undefined ? 'another process' : `process ${owner.pid} (${owner.command})`;
    throw new Error(`Cannot listen on ${host}:${port}: the port is in use by ${who}`, { cause: error });
  }
  const bound = server.address() as AddressInfo; // a TCP server that listens has one
  return `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`;
}

/** The process that listens on a TCP port: the socket's inode from the kernel's table, then whose descriptor that is. */
function portOwner(port: number): { pid: number; command: string } | undefined {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'latin1')
      .split('\n')
      .flatMap((line) => {
        const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
        return local?.endsWith(`:${wanted}`) && state === LISTEN && inode !== undefined ? [`socket:[${inode}]`] : [];
      }),
  );
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name) && descriptors(name).some((target) => inodes.includes(target))) {
      return { pid: Number(name), command: processArguments(Number(name)).join(' ') };
    }
  }
  return undefined;
}

function descriptors(pid: string): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
      } catch {
        return []; // closed in between
      }
    });
  } catch {
    return []; // ended in between, or not ours to look at
  }
}
