// Forgetting the connections that the kernel has on record (conntrack) and that a change of the published ports has made wrong.
//
// Where a published port leads is asked of the packet filter for the first packet of a connection alone; the rest follows
// the record. UDP knows no end of a connection: a client that goes on sending from its port would reach the address of a
// container that has ended, or nobody, for as long as it does not stop.
//
// The port mapper calls this, after the rules are written: a packet that comes before makes the old record again.
//
// 2013: none

import { networkInterfaces } from 'node:os';
import { forgetRecord, repliesFrom, sentToPort, udpRecords, type UdpRecord } from './conntrack-records.js';
import type { PortMapping } from './firewall.js';
import { parseIpv4 } from './ipv4.js';

/** The first byte of the addresses that each machine has for itself. */
const LOOPBACK = 127;

/**
 * Has the kernel forget the UDP connections that it leads to a container's address from another one, so that the next packet
 * of each is led by the rules of then. Resolves with how many there were; 0 where the kernel keeps no records.
 */
export function forgetUdp(containerAddress: number): Promise<number> {
  return forgetWhere(
    repliesFrom(containerAddress),
    ({ original, reply }) => reply.source === containerAddress && original.destination !== containerAddress,
  );
}

/**
 * As `forgetUdp`, for the connections to a published port that lead elsewhere than it does now. That is also what a client
 * sent while the port was not published: it goes to this machine itself, and keeps on going there.
 */
export function forgetUdpElsewhere(mapping: PortMapping): Promise<number> {
  const { hostAddress, publicPort, privatePort, containerAddress } = mapping;
  const published = hostAddress === '' ? ownAddresses() : new Set([parseIpv4(hostAddress)]);
  return forgetWhere(sentToPort(publicPort), ({ original, reply }) => {
    const { destination = 0, destinationPort } = original;
    // What is sent through this machine to the same port of another one is none of ours.
    const isPublished = published.has(destination) || (hostAddress === '' && destination >>> 24 === LOOPBACK);
    const isRight = reply.source === containerAddress && reply.sourcePort === privatePort;
    return destinationPort === publicPort && isPublished && !isRight;
  });
}

async function forgetWhere(filter: readonly Buffer[], isMeant: (record: UdpRecord) => boolean): Promise<number> {
  let forgotten = 0;
  for await (const records of udpRecords(filter)) {
    for (const record of records) if (isMeant(record) && forgetRecord(record)) forgotten++;
  }
  return forgotten;
}

function ownAddresses(): Set<number | undefined> {
  const addresses = Object.values(networkInterfaces()).flatMap((list = []) => list);
  return new Set(addresses.map(({ address }) => parseIpv4(address)));
}
