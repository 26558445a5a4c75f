// Reads the certificates and keys of TLS, and finds out what is wrong with them before a handshake would say it in words
// that help nobody.
//
// The daemon reads them at its start, the client for each call. The rule that must hold: whatever is wrong is told in one
// sentence that names the file and says what to do.
//
// 2013: none

import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { errorMessage } from './errors.js';
import type { TlsFile, TlsOptions } from './tls-options.js';

/** What `tls.createSecureContext` takes, as far as it is there. */
export interface TlsMaterial {
  ca?: string;
  cert?: string;
  key?: string;
}

/**
 * What a daemon shows, and the authority by which it checks its callers where it does. Throws. An expired certificate is told
 * to `log` alone: whoever comes by another way shall not lose the daemon over it.
 */
export function readServerTls({ isVerified, ca, cert, key }: TlsOptions, log: (line: string) => void): TlsMaterial {
  const pair = readPair(cert, key);
  const problem = expiry(cert, pair.cert);
  if (problem !== undefined) log(`${problem}; clients will refuse this daemon`);
  return { ...pair, ...(isVerified ? { ca: readAuthority(ca) } : {}) };
}

/**
 * What a client shows, where it has something to show, and the authority by which it checks the daemon where it does. Throws.
 * Without a certificate of its own it may call: a daemon that wants one says so.
 */
export function readClientTls({ isVerified, ca, cert, key }: TlsOptions): TlsMaterial {
  const authority = isVerified ? { ca: readAuthority(ca) } : {};
  if (![cert, key].some(({ path, isNamed }) => isNamed || existsSync(path))) return authority;
  const pair = readPair(cert, key);
  const problem = expiry(cert, pair.cert);
  if (problem !== undefined) throw new Error(problem);
  return { ...pair, ...authority };
}

/** A certificate and the key to it. */
function readPair(certFile: TlsFile, keyFile: TlsFile): { cert: string; key: string } {
  const cert = read(certFile, 'certificate', '--tlscert');
  const key = read(keyFile, 'key', '--tlskey');
  const certificate = parse(certFile, 'certificate', () => new X509Certificate(cert));
  if (certificate.checkPrivateKey(parse(keyFile, 'key', () => openKey(key)))) return { cert, key };
  throw new Error(
    `Cannot use the key "${keyFile.path}": it does not belong to the certificate "${certFile.path}", give the two that were made together`,
  );
}

/** That a certificate has expired, if it has. */
function expiry({ path }: TlsFile, cert: string): string | undefined {
  const { validTo } = new X509Certificate(cert);
  if (Date.parse(validTo) >= Date.now()) return undefined;
  return `Cannot use the certificate "${path}": it has expired (${validTo}), have a new one signed`;
}

function readAuthority(file: TlsFile): string {
  const ca = read(file, "authority's certificate", '--tlscacert');
  parse(file, "authority's certificate", () => new X509Certificate(ca));
  return ca;
}

function read(file: TlsFile, what: string, flag: string): string {
  try {
    return readFileSync(file.path, 'utf8');
  } catch (error) {
    const where = file.isNamed ? '' : `, name one with ${flag}, or its folder with DOCKER_CERT_PATH`;
    throw new Error(`Cannot read the ${what} "${file.path}": ${reason(error)}${where}`, { cause: error });
  }
}

function openKey(key: string): KeyObject {
  if (key.includes('ENCRYPTED')) throw new Error('it is locked by a passphrase, "openssl pkey" takes that off');
  return createPrivateKey(key);
}

function parse<T>(file: TlsFile, what: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const isOpenssl = error instanceof Error && 'code' in error;
    const why = isOpenssl ? 'there is none in PEM form in this file' : errorMessage(error);
    throw new Error(`Cannot use the ${what} "${file.path}": ${why}`, { cause: error });
  }
}

function reason(error: unknown): string {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied, only its owner or root may read it';
  if (code === 'EISDIR') return 'it is a folder';
  return errorMessage(error);
}
