// A port of the host that is kept for a container, by a socket that listens on it: so nobody else can take it, and who
// has it already is found out before anything is made. Nothing reaches the socket, since the port mapper sends what comes
// on to the container.
//
// The caller closes it; it ends with the daemon too, and the next one takes the port again.
//
// DIFFERS D25: the original published a port that was in use, and its owner heard nothing any more.
//
// 2013: nothing

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Protocol } from './port-spec.js';

/** Every address of the host. */
const EVERY_ADDRESS = '0.0.0.0';

/** See the head of the file. */
export interface HeldPort {
  close(): void;
}

/** Takes a port. `address`: of the host, empty for every one. Rejects with node's error: EADDRINUSE, EADDRNOTAVAIL, EACCES. */
export function holdPort(protocol: Protocol, address: string, port: number): Promise<HeldPort> {
  const host = address === '' ? EVERY_ADDRESS : address;
  return new Promise((resolve, reject) => {
    if (protocol === 'udp') {
      const socket = createSocket('udp4').unref();
      socket.once('error', reject).bind({ address: host, port, exclusive: true }, () => {
        socket.off('error', reject).on('error', () => undefined); // what happens to it later means nothing
        resolve({ close: () => void socket.close() });
      });
    } else {
      const server = createServer((connection) => connection.destroy()).unref();
      server.once('error', reject).listen({ host, port, exclusive: true }, () => {
        server.off('error', reject).on('error', () => undefined);
        resolve({ close: () => void server.close() });
      });
    }
  });
}
