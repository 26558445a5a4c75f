// What a person asks for with `run -p`, as text.
//
// March 2013 knew the port of the container alone, and gave it a public one; the longer forms are those that people have
// written since.
//
// 2013: server/server.go, ports.Set

import { parseIpv4 } from './ipv4.js';

/** The protocols whose ports can be published. */
export type Protocol = 'tcp' | 'udp';

/** A port of the container that is to be reached from outside. */
export interface PortSpec {
  /** the address of the host on which; empty for every one */
  hostAddress: string;
  /** 0: one that the daemon gives */
  publicPort: number;
  privatePort: number;
  protocol: Protocol;
}

/** A port spec whose public port is known. */
export type PortBinding = PortSpec;

/** 224.0.0.0 */
const FIRST_MULTICAST = 0xe0000000;
const FORM = /^(?:(?:([^:]*):)?([^:]*):)?([^:/]+)(?:\/(tcp|udp))?$/;

/** `PRIVATE`, `PUBLIC:PRIVATE`, `IP:PUBLIC:PRIVATE` or `IP::PRIVATE`, each with `/udp` or `/tcp`. Throws with March's text. */
export function parsePortSpec(text: string): PortSpec {
  const [match, hostAddress = '', publicText, privateText, protocol = 'tcp'] = FORM.exec(text) ?? [];
  const privatePort = portNumber(privateText);
  const isGiven = publicText === undefined || (publicText === '' && hostAddress !== '');
  const publicPort = isGiven ? 0 : portNumber(publicText);
  const isAddress = hostAddress === '' ? !match?.startsWith(':') : isHostAddress(hostAddress);
  if (privatePort === undefined || publicPort === undefined || !isAddress) throw new Error(`Invalid port: ${text}`);
  const everywhere = hostAddress === '0.0.0.0';
  const isUdp = protocol === 'udp';
  return { hostAddress: everywhere ? '' : hostAddress, publicPort, privatePort, protocol: isUdp ? 'udp' : 'tcp' };
}

/** The shortest text that `parsePortSpec` makes the same of. */
export function formatPortSpec({ hostAddress, publicPort, privatePort, protocol }: PortSpec): string {
  const given = publicPort === 0 ? '' : String(publicPort);
  const host = hostAddress !== '' ? `${hostAddress}:${given}:` : given === '' ? '' : `${given}:`;
  return `${host}${privatePort}${protocol === 'udp' ? '/udp' : ''}`;
}

/** Whether one host can have the address: no multicast, no broadcast. */
function isHostAddress(text: string): boolean {
  const address = parseIpv4(text);
  return address !== undefined && address < FIRST_MULTICAST;
}

/** As strconv.Atoi reads it, where it is a port. */
function portNumber(text: string | undefined): number | undefined {
  const port = /^\+?\d+$/.test(text ?? '') ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}
