// Connecting to a daemon, and the sentences for a daemon that is absent, does not let us in or gets lost.

import { createConnection, type Socket } from 'node:net';
import { PROGRAM } from '../rcli/usage.js';
import { isUnixAddress, showAddress, type Address } from '../util/address.js';
import { errorMessage } from '../util/errors.js';
import type { DaemonAddress } from './address.js';

/** How long to wait for a daemon to answer, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;
const NO_ANSWER = 'no answer';

/** A failure of the client's own; the message is the one sentence that the user sees. */
export class ClientError extends Error {}

/** An open connection, by TLS where the address says so. Rejects with ClientError: what was tried, why it failed, and what helps. */
export async function connect(address: DaemonAddress): Promise<Socket> {
  if (isUnixAddress(address)) return open(createConnection({ path: address.path, allowHalfOpen: true }), address);
  const { host, port, tls: options } = address;
  if (options === undefined) return open(createConnection({ host, port, noDelay: true, allowHalfOpen: true }), address);
  const { startTls, tlsProblem } = await import('./tls-connection.js');
  let socket;
  try {
    socket = startTls({ host, port }, options);
  } catch (error) {
    throw new ClientError(errorMessage(error), { cause: error });
  }
  return open(socket, address, 'secureConnect', (error) => tlsProblem(error, { host, port }, options));
}

/** Waits until the connection is there. `problemOf` may know better what is wrong with it. */
async function open(
  socket: Socket,
  address: Address,
  event = 'connect',
  problemOf: (error: Error) => string | undefined = () => undefined,
): Promise<Socket> {
  const timer = setTimeout(() => socket.destroy(new Error(NO_ANSWER)), CONNECT_TIMEOUT_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once(event, resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed')));
    });
  } catch (error) {
    const cause = error instanceof Error ? error : new Error(String(error));
    throw new ClientError(problemOf(cause) ?? unreachable(address, cause), { cause });
  } finally {
    clearTimeout(timer);
  }
  return socket;
}

/** The sentence for a connection that ended before its call did. */
export function lostDaemon(address: Address): ClientError {
  return new ClientError(
    `Lost the daemon at ${showAddress(address)} before the call ended: if it is not running any more, start it with "sudo ${PROGRAM} -d"`,
  );
}

function unreachable(address: Address, error: Error): string {
  const shown = showAddress(address);
  const [code, why] = reason(error);
  if (!isUnixAddress(address)) {
    return `Cannot reach a daemon at ${shown} (${why}): start one with "sudo ${PROGRAM} -d", or set DOCKER=HOST:PORT`;
  }
  if (code === 'EACCES') {
    return `Cannot reach a daemon at ${shown} (permission denied): use sudo, or become a member of the socket's group with "sudo usermod -aG ${PROGRAM} $USER" and log in again`;
  }
  const what = code === 'ENOENT' ? 'there is no such socket' : why;
  return `Cannot reach a daemon at ${shown} (${what}): start one with "sudo ${PROGRAM} -d -H ${shown}", or set DOCKER to where one is`;
}

/** The code of a failure, and in words. Node joins the failures of several addresses of one host; the first says enough. */
function reason(error: Error): [code: string, why: string] {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const code = first instanceof Error && 'code' in first ? String(first.code) : '';
  if (code === 'ECONNREFUSED') return [code, 'connection refused'];
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return [code, 'no such host'];
  return [code, errorMessage(first)];
}
