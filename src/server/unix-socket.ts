// A socket in the file system to listen on: root's, and of the group whose members may call.
//
// Nobody else can ever connect: the socket is made in a folder that is root's alone, gets owner, group and mode there, and only
// then its name, by link(2), which takes nobody's place. Node forgets where it went, so that it is ours to remove.
//
// The rules that must hold: the socket of a daemon that lives is left alone, so is whatever is no socket; and only the socket
// that was made here is removed again.
//
// 2013: none; docker's unix socket came later that year

import { chmodSync, chownSync, linkSync, lstatSync, mkdtempSync, rmSync, unlinkSync, type BigIntStats } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { hasCode } from '../linux/libc.js';
import { peerProcess } from '../linux/peer-process.js';
import { commandOf } from '../linux/port-owner.js';
import { CALLERS_GROUP } from '../rcli/callers.js';
import { MAX_SOCKET_PATH_BYTES } from '../util/address.js';
import { errorMessage } from '../util/errors.js';
import { groupId } from './accounts.js';
import { BACKLOG } from './listen.js';

const MODE = 0o660;
/** How often a name may be taken by somebody else while we look. */
const TRIES = 5;
/** How long who listens on a socket may take to let us in, in milliseconds. */
const CONNECT_TIMEOUT_MS = 2_000;

/** By this a file is known from all others, for as long as it exists. */
type FileIdentity = Pick<BigIntStats, 'ino' | 'dev'>;

/** Rejects where the path is in use, or holds what is no socket. Takes nothing away. */
export async function checkPathFree(path: string): Promise<void> {
  await findStale(path);
  const folder = dirname(path);
  if (lstatIfThere(folder) === undefined) throw refusal(path, `there is no folder "${folder}"`);
}

/**
 * Listens on `path`; the socket of a daemon that has ended is replaced. Resolves with what removes the socket, unless somebody
 * else's is there by then. Rejects as `checkPathFree` does.
 */
export async function listenOnPath(server: Server, path: string, log: (line: string) => void): Promise<() => void> {
  const folder = makeFolder(path);
  const made = join(folder, 's');
  try {
    if (Buffer.byteLength(made) > MAX_SOCKET_PATH_BYTES) throw refusal(path, 'the path is too long');
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: made, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const group = groupId(CALLERS_GROUP);
    if (group === undefined) {
      log(
        `unix ${path} is for root alone: there is no group ${CALLERS_GROUP} ("groupadd ${CALLERS_GROUP}" makes it, for the next start)`,
      );
    }
    chownSync(made, 0, group ?? 0);
    chmodSync(made, MODE);
    await nameIt(made, path);
    const { ino, dev } = lstatSync(made, { bigint: true });
    return () => removeSame(path, { ino, dev });
  } catch (error) {
    server.close();
    throw error;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Gives the socket its name. Who takes it in between is looked at as well. */
async function nameIt(made: string, path: string): Promise<void> {
  for (let tries = TRIES; ; tries--) {
    const stale = await findStale(path);
    if (stale !== undefined) removeSame(path, stale);
    try {
      linkSync(made, path);
      return;
    } catch (error) {
      if (!hasCode(error, 'EEXIST') || tries <= 1) throw refusal(path, errorMessage(error), error);
    }
  }
}

/** The socket that a daemon has left there, if one has. Rejects for everything else that may be there. */
async function findStale(path: string): Promise<FileIdentity | undefined> {
  const file = lstatIfThere(path);
  if (file === undefined) return undefined;
  if (!file.isSocket()) {
    throw refusal(path, 'what is there is no socket: move it away, or choose another path');
  }
  const code = await callOn(path, (process) => {
    const who =
      process === undefined || process <= 0 ? 'another process' : `process ${process} (${commandOf(process)})`;
    throw refusal(path, `the socket is in use by ${who}`);
  });
  if (code === 'ENOENT') return undefined;
  if (code === 'ECONNREFUSED') return { ino: file.ino, dev: file.dev };
  throw refusal(
    path,
    `there is a socket that does not answer as one of a daemon (${code}): remove it, or choose another path`,
  );
}

/** Connects, and tells `onLiving` of the process that listens; or resolves with the code of what is in the way. */
async function callOn(path: string, onLiving: (process: number | undefined) => void): Promise<string> {
  const socket = createConnection({ path });
  socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })));
  try {
    const code = await new Promise<string | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined));
      socket.once('error', (error) => resolve('code' in error ? String(error.code) : error.message));
    });
    if (code === undefined) onLiving(peerProcess(socket));
    return code ?? '';
  } finally {
    socket.destroy();
  }
}

/** A folder beside the socket, so that a link can lead from the one to the other, which only root enters. */
function makeFolder(path: string): string {
  try {
    return mkdtempSync(join(dirname(path), '.tsd-'));
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? `there is no folder "${dirname(path)}"` : errorMessage(error);
    throw refusal(path, why, error);
  }
}

/** Removes the name where it is still that socket's: another daemon's may be there by now. */
function removeSame(path: string, { ino, dev }: FileIdentity): void {
  const file = lstatIfThere(path);
  if (file?.ino !== ino || file.dev !== dev) return;
  unlinkSync(path);
}

function lstatIfThere(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw refusal(path, errorMessage(error), error);
  }
}

function refusal(path: string, why: string, cause?: unknown): Error {
  return new Error(`Cannot listen on unix://${path}: ${why}`, { cause });
}
