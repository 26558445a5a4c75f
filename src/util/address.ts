// The address of a daemon, as people write it: `HOST:PORT`, `tcp://HOST:PORT` or `unix:///PATH`.
//
// The client goes there, the daemon listens there. The rule that must hold: what is no address is refused with its text,
// never guessed at.
//
// 2013: docker/docker.go, main (HOST:PORT alone)

import { isAbsolute } from 'node:path';

/** A host and a port. Node takes both this and a UnixAddress as it is, to listen and to connect. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** The path of a socket in the file system. */
export interface UnixAddress {
  readonly path: string;
}

/** Where a daemon is reached. */
export type Address = TcpAddress | UnixAddress;

const UNIX = 'unix://';
/** A longer path does not fit into what the kernel takes (sockaddr_un), and node cuts it without a word. */
export const MAX_SOCKET_PATH_BYTES = 107;

/** What the text says; an IPv6 host stands in brackets. A port must be in it unless there is a usual one. Throws. */
export function parseAddress(text: string, usualPort?: number): Address {
  if (text.startsWith(UNIX)) return parsePath(text);
  const [, bracketed, plain, digits] = /^(?:tcp:\/\/)?(?:\[([^\]]+)\]|([^:/[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? usualPort : Number(digits);
  if (host === undefined || port === undefined || port > 65_535) {
    throw new Error(`Invalid address "${text}": expected HOST:PORT, tcp://HOST:PORT or unix:///PATH`);
  }
  return { host: host === '' ? '127.0.0.1' : host, port };
}

function parsePath(text: string): UnixAddress {
  const path = text.slice(UNIX.length);
  if (!isAbsolute(path) || path.endsWith('/') || path.includes('\0')) {
    throw new Error(`Invalid address "${text}": expected the whole path of a socket, as in unix:///run/tsdock.sock`);
  }
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new Error(`Invalid address "${text}": the path of a socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`);
  }
  return { path };
}

/** Whether it is a path. */
export function isUnixAddress(address: Address): address is UnixAddress {
  return 'path' in address;
}

/** As a person may write it again: `HOST:PORT` or `unix:///PATH`. */
export function showAddress(address: Address): string {
  if (isUnixAddress(address)) return `${UNIX}${address.path}`;
  const { host, port } = address;
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
