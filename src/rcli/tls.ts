// TLS in front of a TCP or HTTP server: what listens stays the same, but who connects has to agree on TLS first, and where
// certificates are demanded to show one that was signed by our authority.
//
// The first byte tells who speaks no TLS: they get one line in plain text, as nothing else could be read by them. Whoever
// shows no good certificate is let through to the server, whose judge asks `certificateProblem` and refuses the call in its own
// form.
//
// The rule that must hold: a caller reaches the server behind only after the handshake; whatever else it sends is cut after a
// while, and the daemon goes on.
//
// 2013: none; docker had TLS from 2014 on, and its flags are ours

import { constants } from 'node:crypto';
import type { Server, Socket } from 'node:net';
import { createServer, TLSSocket } from 'node:tls';
import { errorMessage } from '../util/errors.js';
import { onOneLine } from '../util/table.js';
import type { TlsMaterial } from '../util/tls-files.js';
import type { Ends, Judge } from './callers.js';
import type { Log } from './calls.js';
import { closeGently, peerOf } from './tcp.js';

/** How long a caller may take to begin a handshake, and again to finish it, in milliseconds. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How many handshakes may be under way at once. */
const MAX_HANDSHAKES = 1024;
/** The same of callers that will be refused after it: they must not take the place of others. */
const MAX_UNWELCOME_HANDSHAKES = 64;
/** With this byte a handshake begins, and neither a call line nor an HTTP request. */
const TLS_HANDSHAKE = 0x16;

/** How a server is to speak TLS. */
export interface TlsServer {
  readonly material: TlsMaterial;
  /** callers must show a certificate that the authority in `material` has signed */
  readonly isVerified: boolean;
}

/** Puts TLS in front of what `server` does with a connection so far. `judge` is that of the server. */
export function putBehindTls(
  server: Server,
  transport: 'tcp' | 'http',
  { material, isVerified }: TlsServer,
  judge: Judge,
  log: Log,
): void {
  const plain = server.listeners('connection');
  server.removeAllListeners('connection');
  // It never listens itself: connections are handed to it, and can be half closed where they could before.
  const tls = createServer({
    ...material,
    minVersion: 'TLSv1.2',
    requestCert: isVerified,
    rejectUnauthorized: false, // node would cut the connection without a word; the judge tells why
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    secureOptions: constants.SSL_OP_NO_TICKET, // each connection shows its certificate
  });
  const [welcome, unwelcome] = [new Handshakes(MAX_HANDSHAKES), new Handshakes(MAX_UNWELCOME_HANDSHAKES)];
  const refuse = (socket: Socket, message: string): void => {
    log(`${transport} ${peerOf(socket, server)} made no call: ${message}`);
    if (!socket.destroyed) socket.write(transport === 'tcp' ? `Error: ${message}\n` : httpRefusal(message));
    closeGently(socket);
  };
  tls.on('secureConnection', (socket) => {
    socket.on('error', () => undefined); // a caller that went away
    for (const handshakes of [welcome, unwelcome]) handshakes.end(peerOf(socket, server));
    for (const listener of plain) listener.call(server, socket);
  });
  tls.on('tlsClientError', (error, socket) => {
    log(`${transport} ${peerOf(socket, server)} made no call: no TLS was agreed on: ${onOneLine(errorMessage(error))}`);
    socket.destroy();
  });
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined); // as above
    const handshakes = judge(socket) === undefined ? welcome : unwelcome;
    if (!handshakes.begin(socket, peerOf(socket, server))) return;
    whenBegun(socket, (isTls) => {
      if (isTls) tls.emit('connection', socket);
      else refuse(socket, plainCallerText(transport));
    });
  });
}

/** Why the certificate of a caller is no good, and what helps; undefined for a good one. For a server that demands them. */
export function certificateProblem(socket: Ends): string | undefined {
  if (!(socket instanceof TLSSocket)) return 'A caller without TLS cannot be known';
  if (socket.authorized) return undefined;
  // The types say Error, but it is the code of one.
  const code = String(socket.authorizationError);
  const mend = 'give the client a cert.pem and key.pem (--tlscert, --tlskey, DOCKER_CERT_PATH)';
  if (Object.keys(socket.getPeerCertificate()).length === 0) {
    return `A certificate is demanded of callers, and there is none: ${mend} that the authority of this daemon has signed`;
  }
  if (code === 'CERT_HAS_EXPIRED') return 'The certificate of the caller has expired: have a new one signed';
  if (code === 'CERT_NOT_YET_VALID') {
    return 'The certificate of the caller is not valid yet: set the clocks of both machines right';
  }
  if (code === 'INVALID_PURPOSE') {
    return 'The certificate of the caller is not for clients: have one signed with extendedKeyUsage=clientAuth';
  }
  return `The certificate of the caller is not accepted (${code}): ${mend} that the authority of this daemon has signed`;
}

/** Calls back with whether the first byte is that of a handshake; it is put back. One that never comes is not waited for. */
function whenBegun(socket: Socket, callback: (isTls: boolean) => void): void {
  const cut = (): unknown => socket.destroy();
  const timer = setTimeout(cut, HANDSHAKE_TIMEOUT_MS);
  socket.once('end', cut).once('close', () => clearTimeout(timer));
  socket.once('data', (chunk: Buffer) => {
    clearTimeout(timer);
    socket.off('end', cut);
    socket.pause();
    socket.unshift(chunk);
    callback(chunk[0] === TLS_HANDSHAKE);
  });
}

/** The handshakes under way, so many at most: the limit of connections counts those that are done. */
class Handshakes {
  readonly #peers = new Set<string>();

  constructor(readonly most: number) {}

  /** One more; where there are too many it is cut. */
  begin(socket: Socket, peer: string): boolean {
    if (this.#peers.size >= this.most) {
      socket.destroy();
      return false;
    }
    this.#peers.add(peer);
    socket.once('close', () => this.end(peer));
    return true;
  }

  end(peer: string): void {
    this.#peers.delete(peer);
  }
}

function plainCallerText(transport: 'tcp' | 'http'): string {
  return transport === 'tcp'
    ? 'This port takes calls by TLS only: give the client --tlsverify, or set DOCKER_TLS_VERIFY=1'
    : 'This port takes HTTPS only';
}

/** A whole HTTP reply: the server behind has not seen the caller. */
function httpRefusal(message: string): string {
  const body = `Error: ${message}\n`;
  const head = ['HTTP/1.1 400 Bad Request', 'Content-Type: text/plain; charset=utf-8', 'Connection: close'];
  return [...head, `Content-Length: ${Buffer.byteLength(body)}`, '', body].join('\r\n');
}
