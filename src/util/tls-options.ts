// What a command line and the variables say about TLS, as docker has it: `--tls` for the server's certificate alone,
// `--tlsverify` for certificates of both sides, checked; the files by name, or else the usual ones in one folder.
//
// `tsdock.ts` asks, for the client and for the daemon. The files are read where TLS is used (tls-files.ts): the client
// starts faster without.
//
// 2013: none

import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

/** The flags by name, as the program declares them. */
export interface TlsFlags {
  readonly tls: boolean;
  readonly tlsverify: boolean;
  readonly tlscacert: string;
  readonly tlscert: string;
  readonly tlskey: string;
}

/** One of the files. */
export interface TlsFile {
  /** absolute */
  readonly path: string;
  /** somebody named it, so it must be there */
  readonly isNamed: boolean;
}

/** How TLS is to be spoken. */
export interface TlsOptions {
  /** the certificate of the other side must be there, and signed by the authority in `ca` */
  readonly isVerified: boolean;
  readonly ca: TlsFile;
  readonly cert: TlsFile;
  readonly key: TlsFile;
}

/** Undefined where TLS is not wanted. Throws where a file is given and nothing that it would be for. */
export function tlsOptions(flags: TlsFlags, environment: NodeJS.ProcessEnv): TlsOptions | undefined {
  if (!flags.tls && !flags.tlsverify) {
    const name = (['tlscacert', 'tlscert', 'tlskey'] as const).find((each) => flags[each] !== '');
    if (name === undefined) return undefined;
    throw new Error(`Cannot use --${name} without TLS: add --tlsverify (or --tls, where nobody is to be checked)`);
  }
  const folder = environment['DOCKER_CERT_PATH'] || join(homedir(), '.tsdock');
  const file = (named: string, name: string): TlsFile => ({
    path: resolve(named === '' ? join(folder, name) : named),
    isNamed: named !== '',
  });
  return {
    isVerified: flags.tlsverify,
    ca: file(flags.tlscacert, 'ca.pem'),
    cert: file(flags.tlscert, 'cert.pem'),
    key: file(flags.tlskey, 'key.pem'),
  };
}

/** The flags that say the same again, from whatever folder. */
export function tlsWords({ isVerified, ca, cert, key }: TlsOptions): string[] {
  const files = Object.entries({ ca, cert, key });
  const named = files.flatMap(([name, { path, isNamed }]) =>
    isNamed ? [`--tls${name === 'ca' ? 'cacert' : name}=${path}`] : [],
  );
  return [isVerified ? '--tlsverify' : '--tls', ...named];
}
