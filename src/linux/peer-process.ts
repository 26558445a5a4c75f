// Who is at the other end of a connection by a unix socket, getsockopt(SO_PEERCRED): the kernel noted it at connect(2) or, of
// one that listens, at listen(2).
//
// 2013: none

import type { Socket } from 'node:net';
import { bind } from './libc.js';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: pid, uid, gid. */
const CREDENTIALS_BYTES = 12;

const getsockopt = bind('int getsockopt(int fd, int level, int name, void *value, void *value_length)');

/** The process that connected, or that listens. Undefined where node does not say which descriptor the socket has. */
export function peerProcess(socket: Socket): number | undefined {
  // Node has no way of its own to ask, and does not document this one.
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = handle !== null && typeof handle === 'object' ? Reflect.get(handle, 'fd') : undefined;
  if (typeof fd !== 'number' || fd < 0) return undefined;
  const credentials = new Uint8Array(CREDENTIALS_BYTES);
  const length = new Uint8Array(new Uint32Array([CREDENTIALS_BYTES]).buffer);
  getsockopt({ path: `descriptor ${fd}` }, fd, SOL_SOCKET, SO_PEERCRED, credentials, length);
  return new Int32Array(credentials.buffer)[0];
}
