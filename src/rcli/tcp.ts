// The raw TCP transport: one line says what is wanted, then the bytes of a 2013 call or the frames of a framed one.
//
// The rule that must hold: whatever a caller sends, it gets one clear error line at most, and the daemon goes on.
//
// 2013: rcli/tcp.go, ListenAndServeTCP and Serve

import { createServer, type Server, type Socket } from 'node:net';
import { parseCallLine, readLine, type CallLine } from './call-line.js';
import type { Calls, Log } from './calls.js';
import { FramedConnection } from './framed.js';
import type { Hello } from './frames.js';
import { ReplyStream } from './reply.js';
import { errorMessage, errorStack } from '../util/errors.js';
import { onOneLine } from '../util/table.js';

/** How long a caller may take to close its side after ours is closed, in milliseconds. */
const LINGER_MS = 2_000;

/** A server for TCP calls; the caller makes it listen and closes it. */
export function createTcpServer(calls: Calls, hello: Hello, log: Log): Server {
  return createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined); // a caller that went away; its call sees the closed streams
    const peer = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`;
    serve(socket, peer, calls, hello, log).catch((error: unknown) => {
      // Not a caller's mistake: those are answered within.
      log(`tcp ${peer}: ${errorStack(error)}`);
      socket.destroy();
    });
  });
}

async function serve(socket: Socket, peer: string, calls: Calls, hello: Hello, log: Log): Promise<void> {
  let line: CallLine;
  try {
    line = parseCallLine(await readLine(socket));
  } catch (error) {
    if (!socket.destroyed) socket.write(`Error: ${errorMessage(error)}\n`);
    log(`tcp ${peer} made no call: ${onOneLine(errorMessage(error))}`);
    closeGently(socket);
    return;
  }
  if (line.framed) {
    const connection = new FramedConnection(socket, hello, line.terminal);
    const { stdin, reply } = connection;
    await calls.answer({ words: line.words, stdin, reply, transport: 'framed', peer });
    connection.finish();
  } else {
    const reply = new ReplyStream((chunk, done) => socket.write(chunk, done));
    const onClose = (): unknown => reply.destroy();
    socket.once('close', onClose);
    await calls.answer({ words: line.words, stdin: socket, reply, transport: 'tcp', peer });
    socket.off('close', onClose);
  }
  closeGently(socket);
}

/**
 * Ends the reply without waiting for the caller's half-close. What it still sends is read and dropped for a moment: to
 * close a socket with unread input would reset the connection and could take the end of the reply with it.
 */
function closeGently(socket: Socket): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end();
  socket.resume();
}
