// One call over TCP: bytes there, half-close, bytes back until the daemon closes. Nothing of it is the project's own client: what
// both sides of a program get wrong in the same way must show.

import { connect, type Socket } from 'node:net';

export interface Address {
  host: string;
  port: number;
}

const CONNECT_MS = 10_000;
/** A daemon that closes without having read everything sends a reset: the same end for whoever has read the reply. */
const ENDS = ['ECONNRESET', 'EPIPE'];

/** Sends the bytes and resolves with the whole reply. Rejects where none is complete in time. */
export async function exchange(
  address: Address,
  bytes: Buffer,
  { halfClose = true, timeoutMs }: { halfClose?: boolean; timeoutMs: number },
): Promise<Buffer> {
  const socket = await open(address);
  const reply = readToEnd(socket, timeoutMs);
  socket.write(bytes);
  if (halfClose) socket.end();
  return reply;
}

/** A connection, open for both sides. Errors after this come to whoever listens. */
export function open(address: Address): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...address, allowHalfOpen: true });
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_MS);
    socket.once('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`Cannot connect to "${address.host}:${address.port}": ${cause.message}`, { cause }));
    });
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(socket);
    });
  });
}

/** All that comes until the other side ends. */
export function readToEnd(socket: Socket, timeoutMs: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise<Buffer>((resolve, reject) => {
    const timer = setTimeout(() => {
      const soFar = Buffer.concat(chunks).toString('latin1', 0, 300);
      socket.destroy(new Error(`No end of the reply in ${timeoutMs / 1000} s; so far ${JSON.stringify(soFar)}`));
    }, timeoutMs);
    const finish = (error?: Error): void => {
      clearTimeout(timer);
      if (error === undefined || isEnd(error)) resolve(Buffer.concat(chunks));
      else reject(error);
      socket.destroy();
    };
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => finish()).once('close', () => finish());
    socket.on('error', finish);
  });
}

/** Whether this error is the end of a connection. */
export function isEnd(error: NodeJS.ErrnoException): boolean {
  return error.code !== undefined && ENDS.includes(error.code);
}
