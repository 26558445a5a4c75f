// Connecting to a daemon, and the sentences for a daemon that is absent or gets lost.

import { createConnection, type Socket } from 'node:net';
import { PROGRAM } from '../rcli/usage.js';
import type { DaemonAddress } from './address.js';

/** How long to wait for a daemon to answer, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/** A failure of the client's own; the message is the one sentence that the user sees. */
export class ClientError extends Error {}

/** An open connection. Rejects with ClientError: which address was tried, why it failed, and how to start a daemon. */
export async function connect({ host, port }: DaemonAddress): Promise<Socket> {
  const socket = createConnection({ host, port, noDelay: true, allowHalfOpen: true });
  const timer = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_TIMEOUT_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
  } catch (error) {
    const why = error instanceof Error ? reason(error) : String(error);
    throw new ClientError(
      `Cannot reach a daemon at ${host}:${port} (${why}): start one with "sudo ${PROGRAM} -d", or set DOCKER=HOST:PORT`,
    );
  } finally {
    clearTimeout(timer);
  }
  return socket;
}

/** The sentence for a connection that ended before its call did. */
export function lostDaemon({ host, port }: DaemonAddress): ClientError {
  return new ClientError(
    `Lost the daemon at ${host}:${port} before the call ended: if it is not running any more, start it with "sudo ${PROGRAM} -d"`,
  );
}

/** Node joins the failures of several addresses of one host; the first says enough. */
function reason(error: Error): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const code: unknown = first instanceof Error && 'code' in first ? first.code : undefined;
  if (code === 'ECONNREFUSED') return 'connection refused';
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'no such host';
  return first instanceof Error ? first.message : String(first);
}
