// The raw TCP transport: one line says what is wanted, then the bytes of a 2013 call or the frames of a framed one.
//
// The rule that must hold: whatever a caller sends, it gets one clear error line at most, and the daemon goes on.
//
// 2013: rcli/tcp.go, ListenAndServeTCP and Serve

import { createServer, type Server, type Socket } from 'node:net';
import { LINE_TIMEOUT_MS, parseCallLine, readLine, type CallLine } from './call-line.js';
import type { Judge } from './callers.js';
import type { Calls, Log } from './calls.js';
import { REFUSED_TIMEOUT_MS, type ConnectionLimit } from './connection-limit.js';
import { FramedConnection } from './framed.js';
import type { Hello } from './frames.js';
import { ReplyStream } from './reply.js';
import { errorMessage, errorStack } from '../util/errors.js';
import { onOneLine } from '../util/table.js';

/** How long a caller may take to close its side after ours is closed, in milliseconds. */
const LINGER_MS = 2_000;
/** The same where there are too many connections. */
const REFUSED_LINGER_MS = 200;
/** After how long without a byte a caller's machine is asked whether it is still there, in milliseconds. */
const KEEP_ALIVE_MS = 60_000;

/** A server for TCP calls, within the `limit`, of whom `judge` welcomes; the caller makes it listen and closes it. */
export function createTcpServer(calls: Calls, hello: Hello, log: Log, limit?: ConnectionLimit, judge?: Judge): Server {
  const options = { allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
  const server = createServer(options, (socket) => {
    socket.on('error', () => undefined); // a caller that went away; its call sees the closed streams
    const unwelcome = judge?.(socket); // at once: it looks for the process, which may soon have gone
    const refusal = limit?.admit(socket, unwelcome);
    const message = unwelcome ?? refusal?.message;
    const peer = peerOf(socket, server);
    if (unwelcome !== undefined) log(`tcp ${peer} is refused: ${unwelcome}`);
    if (refusal?.isHeard === false) {
      socket.write(`Error: ${refusal.message}\n`);
      closeGently(socket, REFUSED_LINGER_MS);
      return;
    }
    serve(socket, peer, calls, hello, log, message).catch((error: unknown) => {
      // Not a caller's mistake: those are answered within.
      log(`tcp ${peer}: ${errorStack(error)}`);
      socket.destroy();
    });
  });
  return server;
}

async function serve(
  socket: Socket,
  peer: string,
  calls: Calls,
  hello: Hello,
  log: Log,
  refusal: string | undefined,
): Promise<void> {
  let line: CallLine;
  try {
    line = parseCallLine(await readLine(socket, refusal === undefined ? LINE_TIMEOUT_MS : REFUSED_TIMEOUT_MS));
  } catch (error) {
    if (!socket.destroyed) socket.write(`Error: ${refusal ?? errorMessage(error)}\n`);
    if (refusal === undefined) log(`tcp ${peer} made no call: ${onOneLine(errorMessage(error))}`);
    closeGently(socket);
    return;
  }
  if (line.framed) {
    const connection = new FramedConnection(socket, hello, line.terminal);
    const { stdin, reply } = connection;
    const call = { words: line.words, stdin, reply, transport: 'framed', peer };
    await (refusal === undefined ? calls.answer(call) : calls.refuse(call, refusal));
    connection.finish();
  } else {
    const reply = new ReplyStream((chunk, done) => socket.write(chunk, done));
    const onClose = (): unknown => reply.destroy();
    socket.once('close', onClose);
    const call = { words: line.words, stdin: socket, reply, transport: 'tcp', peer };
    await (refusal === undefined ? calls.answer(call) : calls.refuse(call, refusal));
    socket.off('close', onClose);
  }
  closeGently(socket);
}

/** Who calls, for the log: `127.0.0.1:54321`, or `unix` where the server listens on a path. */
export function peerOf({ remoteAddress, remotePort }: Socket, server: Server): string {
  if (remoteAddress === undefined && isOnPath(server)) return 'unix';
  return `${remoteAddress ?? '?'}:${remotePort ?? '?'}`;
}

/** Whether a server listens on a path, so that its callers have no address. Asks the kernel: not for each call. */
export function isOnPath(server: Server): boolean {
  return typeof server.address() === 'string';
}

/**
 * Ends the reply without waiting for the caller's half-close. What it still sends is read and dropped for a moment: to
 * close a socket with unread input would reset the connection and could take the end of the reply with it.
 */
export function closeGently(socket: Socket, lingerMs = LINGER_MS): void {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), lingerMs);
  socket.once('close', () => clearTimeout(timer));
  socket.end();
  socket.resume();
}
