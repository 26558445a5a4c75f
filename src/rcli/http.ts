// The HTTP transport: the last element of the path is the command, each `q` an argument, the body stdin, and the reply
// is flushed as it comes. Always status 200; an error is in the body.
//
// 2013: rcli/http.go, URLToCall, ListenAndServeHTTP and AutoFlush

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { posix } from 'node:path';
import type { Calls, Log } from './calls.js';
import { ReplyStream } from './reply.js';
import { sniffContentType } from './sniff.js';
import { errorStack } from '../util/errors.js';

/** How long a caller may take to send its headers, in milliseconds. A body may take as long as it likes: it is stdin. */
const HEADERS_TIMEOUT_MS = 10_000;

/** A server for HTTP calls; the caller makes it listen and closes it. */
export function createHttpServer(calls: Calls, log: Log): Server {
  const options = { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: 0, keepAlive: true };
  return createServer(options, (request, response) => {
    serve(request, response, calls).catch((error: unknown) => {
      log(`http: ${errorStack(error)}`);
      response.destroy();
    });
  });
}

async function serve(request: IncomingMessage, response: ServerResponse, calls: Calls): Promise<void> {
  const peer = `${request.socket.remoteAddress ?? '?'}:${request.socket.remotePort ?? '?'}`;
  const reply = new ReplyStream((chunk, done) => {
    if (!response.headersSent) response.setHeader('Content-Type', sniffContentType(chunk));
    response.write(chunk, done);
  });
  const onClose = (): unknown => reply.destroy();
  response.once('close', onClose);
  request.on('error', () => undefined); // the caller went away; `close` tells
  await calls.answer({ words: urlToCall(request.url ?? '/'), stdin: request, reply, transport: 'http', peer });
  response.off('close', onClose);
  response.end();
  request.resume(); // what was not read of the body must not stand in the way of the next request
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
