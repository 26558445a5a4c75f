// Which daemon: the variable DOCKER, as in 2013, and how it is spoken to.

import { parseAddress, type Address } from '../util/address.js';
import type { TlsOptions } from '../util/tls-options.js';

/** A daemon to call. */
export type DaemonAddress = Address & {
  /** set where it is called by TLS */
  readonly tls?: TlsOptions;
};

/** DIFFERS D12: the original listened on every interface. */
export const DEFAULT_ADDRESS = '127.0.0.1:4242';
const DEFAULT_PORT = 4242;

/**
 * `HOST:PORT`, `HOST` alone for the usual port, or `unix:///PATH`, to which nobody speaks TLS. Throws for what is neither.
 * 2013: docker/docker.go, main
 */
export function daemonAddress(text: string, tls?: TlsOptions): DaemonAddress {
  const address = parseAddress(text, DEFAULT_PORT);
  return tls === undefined || 'path' in address ? address : { ...address, tls };
}
