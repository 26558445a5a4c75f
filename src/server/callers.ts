// The judge of this machine's callers: hands `rcli/callers.ts` what it asks of kernel, network and accounts.
//
// The daemon makes one, and gives it to its servers.
//
// 2013: none

import { SocketOwners } from '../linux/socket-owner.js';
import { Payloads } from '../lxc/payload.js';
import type { NetworkManager } from '../network/network-manager.js';
import { routeTo } from '../network/route-to.js';
import { CALLERS_GROUP, refusalOf, type Caller, type Judge, type Machine } from '../rcli/callers.js';
import { errorMessage } from '../util/errors.js';
import { isLoopback, parseIpAddress, type IpEnd } from '../util/ip-address.js';
import { isMember, userName } from './accounts.js';

const ROOT = 0;

/**
 * A judge for connections over TCP. It blocks for some 30 µs. Where callers have shown a certificate, `isVerified`, that says
 * who they are; only those in containers are refused still.
 */
export function callerJudge(network: Pick<NetworkManager, 'isContainerAddress'>, isVerified: boolean): Judge {
  const payloads = new Payloads();
  const sockets = openSockets();
  const machine: Machine = {
    callerOf: (caller, own) => callerOf(caller, own, sockets, payloads),
    isOwnAddress: (address) => routeTo(address)?.isLocal === true,
    isContainerAddress: (address) => network.isContainerAddress(address),
    mayCall: (uid) => isVerified || uid === ROOT || uid === process.getuid?.() || isMember(uid, CALLERS_GROUP),
    nameOf: userName,
  };
  return (ends) => {
    try {
      return refusalOf(ends, machine);
    } catch (error) {
      // No file handle is left, say. It is nobody's call yet, so nobody else would hear of the error.
      return `Cannot take a call whose process cannot be looked for: ${errorMessage(error)}`;
    }
  };
}

/** Open for as long as the daemon runs. */
function openSockets(): SocketOwners {
  const sockets = new SocketOwners();
  try {
    sockets.open(); // now, as later there may be no file handle left for it
  } catch {
    // Each caller will be told why: nobody may need it, as with a unix socket alone.
  }
  return sockets;
}

function callerOf(caller: IpEnd, own: IpEnd, sockets: SocketOwners, payloads: Payloads): Caller | undefined {
  const [owner, ours] = sockets.of(caller, own);
  // Where the connection broke, its ports may be another's by now, and `owner` is of that one. Ours, which was looked at
  // after it, cannot be both broken and still in the kernel's table with a process that has it.
  if (owner === undefined || ours === undefined) return undefined;
  return { uid: owner.uid, isContained: owner.cgroup !== undefined && payloads.includes(owner.cgroup) };
}

/**
 * What to say at the start of a server that others can reach: `door` says what listens where. Undefined where `address`,
 * to which it is bound, is one that nobody else can reach, or where callers must show a certificate, `isVerified`.
 */
export function exposureWarning(door: string, address: string, isVerified: boolean): string | undefined {
  const ip = parseIpAddress(address);
  if (isVerified || (ip !== undefined && isLoopback(ip))) return undefined;
  return (
    `WARNING: ${door} is open to other machines: whoever reaches it is root here, and is not asked who they are. ` +
    'Demand certificates (--tlsverify), or listen on 127.0.0.1'
  );
}
