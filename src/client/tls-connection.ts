// Connecting to a daemon by TLS, and the sentences for whatever is wrong with the certificates of either side.
//
// `connection.ts` loads it only where TLS is wanted: it costs the start of the client some milliseconds.
//
// 2013: none

import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { readClientTls } from '../util/tls-files.js';
import type { TlsOptions } from '../util/tls-options.js';
import { showAddress, type TcpAddress } from '../util/address.js';

/** A connection that is being made; `secureConnect` tells that it is there. Throws where a file of ours is no good. */
export function startTls(address: TcpAddress, options: TlsOptions): TLSSocket {
  // Its types do not know allowHalfOpen, without which the end of the input would be the end of the reply.
  const wanted: ConnectionOptions & { allowHalfOpen: boolean } = {
    ...address,
    ...readClientTls(options),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: options.isVerified,
    allowHalfOpen: true,
  };
  const socket = connect(wanted);
  socket.setNoDelay(true);
  return socket;
}

/** The sentence for a handshake that failed; undefined for what has nothing to do with TLS. */
export function tlsProblem(error: Error, address: TcpAddress, options: TlsOptions): string | undefined {
  const code = 'code' in error ? String(error.code) : '';
  const daemon = `the daemon at ${showAddress(address)}`;
  if (code === 'CERT_HAS_EXPIRED') {
    return `The certificate of ${daemon}, or that of its authority, has expired: have a new one signed for it, and set the clock of this machine right if it is wrong`;
  }
  if (code === 'CERT_NOT_YET_VALID') {
    return `The certificate of ${daemon} is not valid yet: is the clock of this machine right?`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    const reason = 'reason' in error && typeof error.reason === 'string' ? error.reason : error.message;
    return `The certificate of ${daemon} is for another name (${reason}): call it by a name that is in it, or sign one with this name as subjectAltName`;
  }
  if (/CERT|ISSUER|SIGNATURE/.test(code)) {
    return `The certificate of ${daemon} was not signed by the authority in "${options.ca.path}" (${code}): take the ca.pem of that daemon, or name it with --tlscacert`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_FORMAT' || /PROTOCOL_VERSION|NO_SHARED_CIPHER|HANDSHAKE_FAILURE/.test(code)) {
    return `Cannot agree with ${daemon} on how to speak TLS (${error.message}): it takes TLS 1.2 or later`;
  }
  if (/^ERR_SSL_|^EPROTO$/.test(code)) {
    return `Cannot speak TLS with ${daemon}: what it says is no TLS, so leave --tls, --tlsverify and DOCKER_TLS_VERIFY away, or start it with --tlsverify`;
  }
  return undefined;
}
