// Reading what a URL leads to, for `pull`.
//
// By node's own http and not by `fetch`: that is made for browsers, and refuses ports that other services use, whoever
// really listens there.
//
// 2013: future/future.go, Curl, and server/server.go, Server.CmdPull, which called http.Get

import { get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import type { Readable } from 'node:stream';
import { errorMessage } from '../util/errors.js';

/** How long a web server may take to begin its answer, in milliseconds. */
const TIMEOUT_MS = 60_000;
// DIFFERS D58: the original waited for ever for what did not come.
/** How long it may send nothing in the middle of its answer, in milliseconds. */
const IDLE_MS = 60_000;
/** As many as Go's client follows. */
const MAX_REDIRECTS = 10;
const REDIRECTS = [301, 302, 303, 307, 308];

/**
 * The body at `url`, until `gone`. Rejects with the URL and why where there is none; a body that breaks off fails, and so
 * does one of which nothing comes for `idleMs`.
 */
export async function download(url: string, gone: AbortSignal, idleMs = IDLE_MS): Promise<Readable> {
  try {
    let target = new URL(url);
    for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
      const response = await request(target, gone);
      const { statusCode = 0, statusMessage = '', headers } = response;
      if (statusCode >= 200 && statusCode < 300) return watched(response, idleMs);
      response.destroy();
      // DIFFERS D09: the original took the page of an error for the archive.
      if (!REDIRECTS.includes(statusCode) || headers.location === undefined) {
        throw new Error(`the server answered ${statusCode} ${statusMessage}`.trimEnd());
      }
      target = new URL(headers.location, target);
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects`);
  } catch (error) {
    throw new Error(`Cannot pull "${url}": ${errorMessage(error)}`, { cause: error });
  }
}

/** `response`, which fails when its server is silent for too long while we want more. */
function watched(response: IncomingMessage, idleMs: number): IncomingMessage {
  const { socket } = response;
  const onIdle = (): void => {
    // What waits to be read is not the server's fault: the disk may be slow. The clock runs out once, so it is set again.
    if (response.readableLength > 0) socket.setTimeout(idleMs);
    else response.destroy(new Error(`the server has sent nothing for ${idleMs / 1000} seconds`));
  };
  socket.setTimeout(idleMs).on('timeout', onIdle);
  response.once('close', () => socket.setTimeout(0).off('timeout', onIdle));
  return response;
}

/** Resolves when the headers of the answer are there. */
function request(target: URL, gone: AbortSignal): Promise<IncomingMessage> {
  if (!/^https?:$/.test(target.protocol)) throw new Error('only http and https are known');
  const get = target.protocol === 'https:' ? httpsGet : httpGet;
  return new Promise((resolve, reject) => {
    const call = get(target, { signal: gone, agent: false }, (response) => {
      clearTimeout(timer);
      resolve(response);
    });
    const timer = setTimeout(() => call.destroy(new Error('the server does not answer')), TIMEOUT_MS);
    call.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    call.on('error', () => undefined); // once the answer is there, its own errors count
  });
}
