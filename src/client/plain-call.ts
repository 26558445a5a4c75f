// A call to an original daemon of 2013: an array, then standard input; the reply is one stream, and its end the end.
//
// 2013: rcli/tcp.go, CallTCP; docker/docker.go, main

import type { Readable } from 'node:stream';
import type { Socket } from 'node:net';
import type { DaemonAddress } from './address.js';
import { lostDaemon } from './connection.js';
import { output, outputFlushed, type OutputTaker } from './framed-call.js';

const ERROR_PREFIX = 'Error: ';

/**
 * Makes the call. Resolves with the exit status: 1 where the reply begins as an error does, else 0. Rejects where the
 * connection breaks.
 */
export async function plainCall(
  socket: Socket,
  address: DaemonAddress,
  words: string[],
  stdin: Readable | undefined,
  onReply: OutputTaker = (piece) => output(socket, process.stdout, piece),
): Promise<number> {
  let beginning = '';
  const ended = new Promise<void>((resolve, reject) => {
    socket.once('end', resolve).once('close', resolve);
    // A daemon that is done does not wait for the rest of the input: what is still sent breaks the connection.
    socket.once('error', () => (stdin !== undefined && beginning !== '' ? resolve() : reject(lostDaemon(address))));
  });
  socket.on('data', (chunk: Buffer) => {
    if (beginning.length < ERROR_PREFIX.length) beginning += chunk.toString('latin1', 0, ERROR_PREFIX.length);
    onReply(chunk);
  });
  socket.write(`${JSON.stringify(words)}\n`);
  if (stdin === undefined) socket.end();
  else stdin.pipe(socket);
  try {
    await ended;
    await outputFlushed();
  } finally {
    stdin?.unpipe(socket);
    socket.destroy();
  }
  return beginning.startsWith(ERROR_PREFIX) ? 1 : 0;
}
