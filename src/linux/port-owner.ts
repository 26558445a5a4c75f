// Who has a port: the socket's inode from the kernel's tables, then the process that has a descriptor of that inode.
//
// Whoever is told that a port is in use asks, to tell a person which process to look at. The answer is a help and no
// proof: it may be out of date at once, and a process of another user or namespace may not be seen.
//
// The work is bounded, as it is done while others wait: so much of each table, so many descriptors.
//
// 2013: none

import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import { hasCode } from './libc.js';
import { processArguments } from './process.js';

/** A process that has a port open. */
export interface PortOwner {
  pid: number;
  /** its command line in one line, as much of it as a message can show */
  command: string;
}

/** What of a table is read, in bytes: some 50,000 sockets. Those that listen stand first. */
const TABLE_BYTES = 8 * 1024 * 1024;
/** How many descriptors are looked at, of all processes together. */
const MAX_DESCRIPTORS = 100_000;
const COMMAND_LENGTH = 100;
/** The state of a socket that listens, in the tables. */
const LISTEN = '0A';
/** The first 12 bytes of an IPv6 address that stands for an IPv4 address. */
const MAPPED = '00000000000000000000ffff';

/**
 * The process that listens on a TCP port, or that has a UDP port, in the network namespace of this process. With `address`,
 * an IPv4 address, only where that keeps others from this very address: it is bound there, or to all addresses (of IPv6 too,
 * whose sockets take IPv4 as well), or `address` itself stands for all. Undefined where nobody is found.
 */
export function portOwner(protocol: 'tcp' | 'udp', port: number, address?: string): PortOwner | undefined {
  const sockets = new Set([
    ...socketsOf(`/proc/self/net/${protocol}`, protocol, port, address),
    ...socketsOf(`/proc/self/net/${protocol}6`, protocol, port, address),
  ]);
  const pid = sockets.size === 0 ? undefined : holderOf(sockets);
  return pid === undefined ? undefined : { pid, command: commandOf(pid) };
}

/** The sockets in a table that have the port, as their descriptors are called. */
function socketsOf(table: string, protocol: string, port: number, address: string | undefined): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return readTable(table).flatMap((line) => {
    const [, local = '', , state, , , , , , inode = '0'] = line.trim().split(/\s+/);
    const [host = '', hexPort] = local.split(':');
    if (hexPort !== wanted || (protocol === 'tcp' && state !== LISTEN) || !isInTheWay(host, address)) return [];
    return inode === '0' ? [] : [`socket:[${inode}]`]; // 0: the socket belongs to the kernel
  });
}

/** Whether a socket that is bound to `host`, as a table writes it, keeps others from `address`. */
function isInTheWay(host: string, address: string | undefined): boolean {
  if (address === undefined || address === '0.0.0.0' || /^0+$/.test(host)) return true;
  const wanted = Buffer.from(address.split('.').map(Number)).toString('hex');
  const bound = addressBytes(host);
  return bound === wanted || bound === MAPPED + wanted;
}

/** The bytes of an address in their own order: the tables write numbers of 32 bits as the processor has them. */
function addressBytes(host: string): string {
  const bytes = Buffer.from(host, 'hex');
  const isLittle = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
  return (isLittle ? bytes.swap32() : bytes).toString('hex');
}

function readTable(path: string): string[] {
  let fd;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []; // a kernel without IPv6
    throw error;
  }
  try {
    const bytes = Buffer.allocUnsafe(TABLE_BYTES);
    let length = 0;
    for (let read = -1; read !== 0 && length < TABLE_BYTES; length += read) {
      read = readSync(fd, bytes, length, TABLE_BYTES - length, null);
    }
    return bytes.toString('latin1', 0, length).split('\n').slice(1);
  } finally {
    closeSync(fd);
  }
}

/** The process with the lowest pid that has one of these sockets: of those that inherited it, mostly the first. */
function holderOf(sockets: ReadonlySet<string>): number | undefined {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  let left = MAX_DESCRIPTORS;
  for (const pid of pids.sort((a, b) => Number(a) - Number(b))) {
    const descriptors = ifThere(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
    for (const fd of descriptors) {
      if (left-- <= 0) return undefined;
      const target = ifThere(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
      if (target !== undefined && sockets.has(target)) return Number(pid);
    }
  }
  return undefined;
}

/** The command line of a process in one line, whatever stands in it, and not longer than a person reads. */
export function commandOf(pid: number): string {
  const command = processArguments(pid)
    .join(' ')
    .replace(/[\p{Cc}\s]+/gu, ' ');
  return command.length > COMMAND_LENGTH ? `${command.slice(0, COMMAND_LENGTH)}…` : command;
}

/** Undefined where the process, or its descriptor, has gone in between, is not ours to look at, or is a file too deep down to name. */
function ifThere<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM', 'ENAMETOOLONG')) return undefined;
    throw error;
  }
}
