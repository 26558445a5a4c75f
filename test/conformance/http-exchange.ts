// One call over HTTP: the last element of the path is the command, each `q` an argument, the body its input.

import { request } from 'node:http';
import { encode } from './bytes.js';
import type { Address } from './exchange.js';
import type { Observation } from './judge.js';

/** The target of a call: everything but letters, digits and `-._~` is escaped, byte by byte. */
export function targetOf([command = '', ...args]: string[]): string {
  const query = args.map((argument) => `q=${escape(argument)}`).join('&');
  return `/${escape(command)}${query === '' ? '' : `?${query}`}`;
}

/** Sends the request and resolves with the whole reply. Without a body there is none, not an empty one. */
export function httpExchange(
  address: Address,
  { method, target, body, timeoutMs }: { method: string; target: string; body?: Buffer | undefined; timeoutMs: number },
): Promise<Observation> {
  const headers = body === undefined ? {} : { 'Content-Length': body.length };
  return new Promise((resolve, reject) => {
    const asked = request({ ...address, method, path: target, headers, agent: false }, (reply) => {
      const chunks: Buffer[] = [];
      reply.on('data', (chunk: Buffer) => chunks.push(chunk));
      reply.once('error', reject);
      reply.once('end', () =>
        resolve({
          bytes: Buffer.concat(chunks),
          status: reply.statusCode ?? 0,
          contentType: reply.headers['content-type'] ?? '',
        }),
      );
    });
    const timer = setTimeout(() => asked.destroy(new Error(`No end of the reply in ${timeoutMs / 1000} s`)), timeoutMs);
    asked.once('error', reject).once('close', () => clearTimeout(timer));
    asked.end(body);
  });
}

function escape(text: string): string {
  return encode(text)
    .toString('latin1')
    .replace(/[^\w.~-]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}
