// What a container was asked to be, as config.json keeps it.
//
// 2013: container.go, Config

import { formatPortSpec, parsePortSpec, type PortSpec } from '../network/port-spec.js';
import type { GoValue } from '../util/go-json.js';
import { DEFAULT_MODE, formatNetworkMode, parseNetworkMode, type NetworkMode } from './network-mode.js';

/** See the head of the file. */
export interface Config {
  hostname: string;
  /** uid or name of whom the program runs as, to be found in the container; empty for root */
  user: string;
  /** memory limit in bytes, 0 for none */
  ramBytes: number;
  /** the ports that each run publishes */
  ports: readonly PortSpec[];
  hasTty: boolean;
  /** stdin stays open when nobody is attached */
  isStdinOpen: boolean;
  /** Ours: the value of TERM where there is a terminal. */
  term: string;
  /** Ours: whose network it has. */
  mode: NetworkMode;
}

/** TERM where the caller does not tell its own. */
export const DEFAULT_TERM = 'xterm';

/** The keys of 2013 in their order, then our own. */
export function configToJSON(config: Config): Record<string, GoValue> {
  const { hostname, user, ramBytes, ports, hasTty, isStdinOpen, term, mode } = config;
  return {
    Hostname: hostname,
    User: user,
    Ram: ramBytes,
    Ports: ports.length === 0 ? null : ports.map(({ privatePort }) => privatePort),
    Tty: hasTty,
    OpenStdin: isStdinOpen,
    Term: term,
    // What is more than a private port to be given a public one.
    PortSpecs: ports.length === 0 ? null : ports.map(formatPortSpec),
    Net: formatNetworkMode(mode),
  };
}

/** What config.json holds; what is missing, or is no such thing, gets the value of a plain container. */
export function configFromJSON(json: Readonly<Record<string, unknown>>, id: string): Config {
  const text = (key: string, standard: string): string => (typeof json[key] === 'string' ? json[key] : standard);
  const list = (key: string): unknown[] => (Array.isArray(json[key]) ? (json[key] as unknown[]) : []);
  return {
    hostname: text('Hostname', id) || id,
    user: text('User', ''),
    ramBytes: Number.isSafeInteger(json['Ram']) ? (json['Ram'] as number) : 0,
    ports: (json['PortSpecs'] === undefined ? list('Ports') : list('PortSpecs')).flatMap((port) =>
      orElse([], () => [parsePortSpec(String(port))]),
    ),
    hasTty: json['Tty'] === true,
    isStdinOpen: json['OpenStdin'] === true,
    term: text('Term', DEFAULT_TERM),
    mode: orElse(DEFAULT_MODE, () => parseNetworkMode(text('Net', ''))),
  };
}

function orElse<T>(standard: T, read: () => T): T {
  try {
    return read();
  } catch {
    return standard; // what stands there was not written by a daemon
  }
}
