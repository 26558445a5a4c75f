// Which daemon: the variable DOCKER, as in 2013.

/** Where a daemon listens. */
export interface DaemonAddress {
  host: string;
  port: number;
}

/** DIFFERS D12: the original listened on every interface. */
export const DEFAULT_ADDRESS = '127.0.0.1:4242';
const DEFAULT_PORT = 4242;

/** `HOST:PORT`, or `HOST` alone for the usual port. Throws for what is neither. 2013: docker/docker.go, main */
export function daemonAddress(text: string): DaemonAddress {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (host === undefined || port > 65_535) throw new Error(`Invalid address "${text}": expected HOST:PORT`);
  return { host: host === '' ? '127.0.0.1' : host, port };
}
