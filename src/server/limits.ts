// The daemon's limit of connections, from what this process may have open: connections may be a quarter of its open files.
// And what becomes of a connection for which there is no open file at all.

import type { Server } from 'node:net';
import { FilesForConnections, openFilesLimit } from '../linux/open-files.js';
import { ConnectionLimit, MAX_CONNECTIONS } from '../rcli/connection-limit.js';
import { errorMessage } from '../util/errors.js';

/** How often the daemon's log is told of connections that could not be taken, in milliseconds. */
const TELL_EVERY_MS = 1_000;

/** One limit for all ports together. */
export function connectionLimit(log: (line: string) => void): ConnectionLimit {
  const files = openFilesLimit();
  const most = Math.min(MAX_CONNECTIONS, Math.floor(files / 4));
  const room = new FilesForConnections(files);
  return new ConnectionLimit({ most, hasFilesLeft: () => room.take(), log });
}

/** For a server that listens: a connection that cannot be taken, as no open file is left, does not end the daemon. */
export function surviveAcceptErrors(server: Server, log: (line: string) => void): void {
  let toldAt = -TELL_EVERY_MS;
  server.on('error', (error) => {
    if (performance.now() - toldAt < TELL_EVERY_MS) return;
    toldAt = performance.now();
    log(`a connection could not be taken: ${errorMessage(error)}`);
  });
}
