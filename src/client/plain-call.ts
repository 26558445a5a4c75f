// A call to an original daemon of 2013: an array, then standard input; the reply is one stream, and its end the end.
//
// 2013: rcli/tcp.go, CallTCP; docker/docker.go, main

import { once } from 'node:events';
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
  else sendInput(socket, stdin).catch(() => undefined); // a connection that breaks ends the call, too
  try {
    await ended;
    await outputFlushed();
  } finally {
    socket.destroy();
  }
  return beginning.startsWith(ERROR_PREFIX) ? 1 : 0;
}

/**
 * Sends the input and its end. A daemon that is done closes at once, and what is written to it then breaks the connection and
 * takes a reply with it that has not been read: so the reply is looked for before each piece.
 */
async function sendInput(socket: Socket, stdin: Readable): Promise<void> {
  const pieces: AsyncIterable<Buffer> = stdin; // it has no encoding
  for await (const piece of pieces) {
    await new Promise((resolve) => setImmediate(resolve)); // the first ends this round of the event loop,
    await new Promise((resolve) => setImmediate(resolve)); // the second comes when the next has read what is there
    if (socket.readableEnded || !socket.writable) return;
    if (!socket.write(piece)) await once(socket, 'drain');
  }
  socket.end();
}
