// The HTTP transport: the last element of the path is the command, each `q` an argument, the body stdin, and the reply
// is flushed as it comes. Always status 200, and an error is in the body; but for callers and pages that are refused, 403.
//
// 2013: rcli/http.go, URLToCall, ListenAndServeHTTP and AutoFlush

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { hostname } from 'node:os';
import { posix } from 'node:path';
import type { Duplex } from 'node:stream';
import { foreignness } from './browser-check.js';
import type { Judge } from './callers.js';
import { MAX_WORDS } from './call-line.js';
import type { Calls, Log } from './calls.js';
import { REFUSED_TIMEOUT_MS, type ConnectionLimit } from './connection-limit.js';
import { ReplyStream } from './reply.js';
import { sniffContentType } from './sniff.js';
import { isOnPath, peerOf } from './tcp.js';
import { errorStack } from '../util/errors.js';
import { onOneLine } from '../util/table.js';

/** How long a caller may take to send its headers, in milliseconds. A body may take as long as it likes: it is stdin. */
const HEADERS_TIMEOUT_MS = 10_000;
/** How often is looked for those that take longer. */
const TIMEOUT_CHECK_MS = 1_000;
/** How long a connection that has had its answer may stay without another call. */
const IDLE_TIMEOUT_MS = 5_000;
/** How long it may take a caller to close its side after an answer to no request. */
const LINGER_MS = 1_000;
/** The most that a request may have before its body, in bytes. */
const MAX_HEADER_BYTES = 64 * 1024;

/** What is answered instead of a call. */
interface HttpRefusal {
  status: string;
  message: string;
}

const FORBIDDEN = '403 Forbidden';
const UNAVAILABLE = '503 Service Unavailable';

/** A server for HTTP calls, within the `limit`, of whom `judge` welcomes; the caller makes it listen and closes it. */
export function createHttpServer(calls: Calls, log: Log, limit?: ConnectionLimit, judge?: Judge): Server {
  const refusals = new WeakMap<Socket, HttpRefusal>();
  /** Those that are not at their end; the first is the one that is being sent. */
  const answers = new WeakMap<Duplex, Set<ServerResponse>>();
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAlive: true,
  };
  const server = createServer(options, (request, response) => {
    const peer = peerOf(request.socket, server);
    const underWay = answers.get(request.socket) ?? new Set();
    answers.set(request.socket, underWay.add(response));
    response.once('close', () => underWay.delete(response));
    const refused = refusals.get(request.socket) ?? foreignRequest(request, server, log);
    serve(request, response, calls, peer, refused).catch((error: unknown) => {
      log(`http: ${errorStack(error)}`);
      response.destroy();
    });
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // In the middle of an answer nothing can be said any more.
    const [current] = answers.get(socket) ?? [];
    if (current?.headersSent === true) socket.destroy();
    else answerNoRequest(error, socket);
  });
  server.on('connect', (_, socket) => endWith(socket, FORBIDDEN, 'Cannot connect to other hosts'));
  server.on('connection', (socket) => {
    const unwelcome = judge?.(socket); // at once: it looks for the process, which may soon have gone
    if (unwelcome !== undefined) log(`http ${peerOf(socket, server)} is refused: ${unwelcome}`);
    const refusal = limit?.admit(socket, unwelcome);
    const message = unwelcome ?? refusal?.message;
    if (message === undefined) return;
    const status = unwelcome === undefined ? UNAVAILABLE : FORBIDDEN;
    refusals.set(socket, { status, message });
    if (refusal?.isHeard === false) endWith(socket, status, message);
    else socket.setTimeout(REFUSED_TIMEOUT_MS, () => socket.destroy());
  });
  return server;
}

/** What came is no request, or came too slowly: says so, and closes. */
function answerNoRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    endWith(socket, '408 Request Timeout', `No request within ${HEADERS_TIMEOUT_MS / 1000} seconds`);
  else if (error.code === 'HPE_HEADER_OVERFLOW')
    endWith(
      socket,
      '431 Request Header Fields Too Large',
      `Request too long: at most ${MAX_HEADER_BYTES} bytes are allowed before its body`,
    );
  else endWith(socket, '400 Bad Request', `Invalid request: ${onOneLine(error.message)}`);
}

/** A whole answer, where there is no request to answer. */
function endWith(socket: Duplex, status: string, message: string): void {
  if (!socket.writable) return; // it has been told
  const body = `Error: ${message}\n`;
  const head = [`HTTP/1.1 ${status}`, 'Content-Type: text/plain; charset=utf-8', 'Connection: close'];
  const text = [...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
  // To close a socket with unread input would reset the connection, and could take the answer with it.
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end(text);
}

/** Why a request is refused that is not the caller's own wish, but that of a page in its browser. None reach a path. */
function foreignRequest(request: IncomingMessage, server: Server, log: Log): HttpRefusal | undefined {
  const { url: target = '', method = '', headersDistinct: headers, socket } = request;
  if (socket.remoteAddress === undefined && isOnPath(server)) return undefined;
  const { localAddress, localPort } = socket;
  const isEncrypted = 'encrypted' in socket;
  const message = foreignness({ target, method, headers, localAddress, localPort, isEncrypted }, [hostname()]);
  if (message === undefined) return undefined;
  log(`http ${peerOf(socket, server)} made no call: ${message}`);
  return { status: FORBIDDEN, message };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  calls: Calls,
  peer: string,
  unheard: HttpRefusal | undefined,
): Promise<void> {
  const words = urlToCall(request.url ?? '/');
  const refused = unheard ?? tooManyWords(words);
  if (refused !== undefined)
    response.writeHead(Number.parseInt(refused.status), {
      'Content-Type': 'text/plain; charset=utf-8',
      Connection: 'close',
    });
  const reply = new ReplyStream((chunk, done) => {
    if (!response.headersSent) response.setHeader('Content-Type', sniffContentType(chunk));
    response.write(chunk, done);
  });
  const onClose = (): unknown => reply.destroy();
  response.once('close', onClose);
  request.on('error', () => undefined); // the caller went away; `close` tells
  const call = { words, stdin: request, reply, transport: 'http', peer };
  await (refused === undefined ? calls.answer(call) : calls.refuse(call, refused.message));
  response.off('close', onClose);
  response.end();
  request.resume(); // what was not read of the body must not stand in the way of the next request
}

function tooManyWords({ length }: string[]): HttpRefusal | undefined {
  if (length <= MAX_WORDS) return undefined;
  return { status: '400 Bad Request', message: `Invalid call: ${length} words, at most ${MAX_WORDS} are allowed` };
}

/** The words of a call in a request target: `/a/b/ps?q=-a` is `ps -a`. What is badly escaped in the query is passed over. */
export function urlToCall(target: string): string[] {
  const local = target.replace(/^[a-z]+:\/\/[^/?]*/i, '');
  const question = local.indexOf('?');
  const path = question < 0 ? local : local.slice(0, question);
  const query = question < 0 ? '' : local.slice(question + 1);
  return [posix.basename(unescape(path) ?? path) || '/', ...queryValues(query)];
}

function queryValues(query: string): string[] {
  return query.split('&').flatMap((pair) => {
    const equals = pair.indexOf('=');
    const key = equals < 0 ? pair : pair.slice(0, equals);
    const value = equals < 0 ? '' : unescape(pair.slice(equals + 1).replaceAll('+', ' '));
    return unescape(key.replaceAll('+', ' ')) === 'q' && value !== undefined ? [value] : [];
  });
}

function unescape(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // a percent sign without two hex digits, or bytes that are no UTF-8
  }
}
