// What a container was asked to be, as config.json keeps it.
//
// 2013: container.go, Config

import type { GoValue } from '../util/go-json.js';

/** See the head of the file. */
export interface Config {
  hostname: string;
  /** memory limit in bytes, 0 for none */
  ramBytes: number;
  hasTty: boolean;
  /** stdin stays open when nobody is attached */
  isStdinOpen: boolean;
  /** Ours: the value of TERM where there is a terminal. */
  term: string;
}

/** TERM where the caller does not tell its own. */
export const DEFAULT_TERM = 'xterm';

/** The keys of 2013 in their order, then our own. */
export function configToJSON({ hostname, ramBytes, hasTty, isStdinOpen, term }: Config): Record<string, GoValue> {
  return { Hostname: hostname, Ram: ramBytes, Tty: hasTty, OpenStdin: isStdinOpen, Term: term };
}

/** What config.json holds; what is missing gets the value of a plain container. */
export function configFromJSON(json: Readonly<Record<string, unknown>>, id: string): Config {
  const text = (key: string, standard: string): string => (typeof json[key] === 'string' ? json[key] : standard);
  return {
    hostname: text('Hostname', id) || id,
    ramBytes: Number.isSafeInteger(json['Ram']) ? (json['Ram'] as number) : 0,
    hasTty: json['Tty'] === true,
    isStdinOpen: json['OpenStdin'] === true,
    term: text('Term', DEFAULT_TERM),
  };
}
