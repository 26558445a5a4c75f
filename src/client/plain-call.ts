// A call to an original daemon of 2013: an array, then standard input; the reply is one stream, and its end the end.
//
// 2013: rcli/tcp.go, CallTCP; docker/docker.go, main

import type { Readable } from 'node:stream';
import type { Socket } from 'node:net';
import { output, outputFlushed } from './framed-call.js';

const ERROR_PREFIX = 'Error: ';

/** Makes the call. Resolves with the exit status: 1 where the reply begins as an error does, else 0. */
export async function plainCall(socket: Socket, words: string[], stdin: Readable | undefined): Promise<number> {
  let beginning = '';
  const ended = new Promise<void>((resolve, reject) => {
    socket.once('end', resolve).once('close', resolve).once('error', reject);
  });
  socket.on('data', (chunk: Buffer) => {
    if (beginning.length < ERROR_PREFIX.length) beginning += chunk.toString('latin1', 0, ERROR_PREFIX.length);
    output(socket, process.stdout, chunk);
  });
  socket.write(`${JSON.stringify(words)}\n`);
  if (stdin === undefined) socket.end();
  else stdin.pipe(socket);
  await ended;
  await outputFlushed();
  stdin?.unpipe(socket);
  socket.destroy();
  return beginning.startsWith(ERROR_PREFIX) ? 1 : 0;
}
