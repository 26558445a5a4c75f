// Who may call: the judgement of a connection by its two ends, before anything that comes over it is looked at.
//
// Both servers ask here as soon as they have a connection: a caller that has gone cannot be judged any more. What this file
// knows of the machine it is handed as a `Machine`.
//
// The rule that must hold: a call has the power of root, so whoever is on this machine must show to be one who may have it,
// and where that cannot be seen the answer is no.
//
// 2013: none; every process of the machine, every container and every web page could call

import { isLoopback, parseIpAddress, type IpAddress, type IpEnd } from '../util/ip-address.js';

/** Who may call beside root and the daemon's own user. */
export const CALLERS_GROUP = 'tsdock';

/** The ends of a connection, as a socket of node has them. Undefined where it broke already. */
export interface Ends {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

/** The process at the other end of a connection. */
export interface Caller {
  uid: number;
  /** it is in a container that shares this machine's network */
  isContained: boolean;
}

/** What is asked of the machine. */
export interface Machine {
  /** the process that has the other end; undefined where it is not on this machine, or not there any more */
  callerOf: (caller: IpEnd, own: IpEnd) => Caller | undefined;
  /** whether it is an address of this machine */
  isOwnAddress: (address: IpAddress) => boolean;
  /** whether it is an address that a container has, or could have */
  isContainerAddress: (address: IpAddress) => boolean;
  /** whether it is root, the daemon's own user, or one of the group */
  mayCall: (uid: number) => boolean;
  /** the name of a user; undefined where it has none */
  nameOf: (uid: number) => string | undefined;
}

/** Judges a connection: why it is refused, in one line that says how to mend it; undefined for one that is welcome. */
export type Judge = (ends: Ends) => string | undefined;

const MEND = `call as root, or as a member of the group ${CALLERS_GROUP}`;

// DIFFERS D35: callers are looked at.
/** See `Judge`. */
export function refusalOf(ends: Ends, machine: Machine): string | undefined {
  const [peer, own] = [toEnd(ends.remoteAddress, ends.remotePort), toEnd(ends.localAddress, ends.localPort)];
  if (peer === undefined || own === undefined) return unknownCaller();
  const isLocal = isLoopback(peer.address) || machine.isOwnAddress(peer.address);
  if (!isLocal && machine.isContainerAddress(peer.address)) return containedCaller();
  // Asked of every caller: one that is found here is on this machine, whatever its address.
  const caller = machine.callerOf(peer, own);
  // An address that others cannot reach has no caller from elsewhere.
  if (caller === undefined) return isLocal || isLoopback(own.address) ? unknownCaller() : undefined;
  if (caller.isContained) return containedCaller();
  return machine.mayCall(caller.uid) ? undefined : unwelcome(caller.uid, machine.nameOf(caller.uid));
}

function toEnd(text: string | undefined, port: number | undefined): IpEnd | undefined {
  const address = text === undefined ? undefined : parseIpAddress(text);
  return address === undefined || port === undefined ? undefined : { address, port };
}

function unwelcome(uid: number, name: string | undefined): string {
  const user = name === undefined ? `uid ${uid}` : `${name} (uid ${uid})`;
  const how = name === undefined ? '' : ` (groupadd -f ${CALLERS_GROUP}; usermod -aG ${CALLERS_GROUP} ${name})`;
  return `Cannot take a call from ${user}: ${MEND}${how}`;
}

function unknownCaller(): string {
  return `Cannot take a call whose process cannot be found: ${MEND}, and wait for the reply`;
}

function containedCaller(): string {
  return `Cannot take a call from a container: leave it, and ${MEND}`;
}
