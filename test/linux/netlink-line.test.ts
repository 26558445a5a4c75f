// A line to the kernel that stays open: that answers are those of their own questions, and what becomes of it where they are
// not.

import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import { bind } from '../../src/linux/libc.js';
import { attribute } from '../../src/linux/netlink-attributes.js';
import { NetlinkLine } from '../../src/linux/netlink-line.js';
import { message, NLM_F_REQUEST, onSocket, openSocket } from '../../src/linux/netlink-socket.js';
import { NETLINK_ROUTE } from '../../src/linux/netlink.js';

const RTM_GETLINK = 18;
const LINK_HEADER_BYTES = 16;
const INDEX_AT = 4;
const IFLA_IFNAME = 3;
const LOOPBACK = 1;
const AF_NETLINK = 16;
const ADDRESS_BYTES = 12;
const getsockname = bind('int getsockname(int fd, void *address, void *length)');
const connect = bind('int connect(int fd, void *address, int length)');

function openLine(t: TestContext, answerBytes = 16 * 1024): NetlinkLine {
  const line = new NetlinkLine({ protocol: NETLINK_ROUTE, type: RTM_GETLINK, answerBytes, purpose: 'find a link' });
  t.after(() => line.close());
  return line;
}

/** Asks for the interface of that number. */
function byIndex(index: number): Buffer {
  const body = Buffer.alloc(LINK_HEADER_BYTES);
  body.writeInt32LE(index, INDEX_AT);
  return body;
}

/** Asks for an interface of a name that none can have: refused, but not with ENOENT. */
const INVALID = Buffer.concat([Buffer.alloc(LINK_HEADER_BYTES), attribute(IFLA_IFNAME, Buffer.from('no/such/link\0'))]);

function indexIn(answer: Buffer | undefined): number | undefined {
  return answer?.readInt32LE(INDEX_AT);
}

function sockets(): number[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:') ? [Number(fd)] : [];
    } catch {
      return []; // the folder itself
    }
  });
}

/** The descriptor of a line that is opened here. */
function openedBy(line: NetlinkLine): number {
  const before = sockets();
  line.open();
  const [fd, ...others] = sockets().filter((each) => !before.includes(each));
  assert.ok(fd !== undefined && others.length === 0);
  return fd;
}

test('NetlinkLine.ask() gives each question its answer, in their order, on one socket', (t) => {
  const line = openLine(t);
  openedBy(line);
  const before = sockets();
  for (let i = 0; i < 100; i++) assert.deepEqual(line.ask([byIndex(LOOPBACK)]).map(indexIn), [LOOPBACK]);
  const answers = line.ask([byIndex(LOOPBACK), byIndex(LOOPBACK), byIndex(LOOPBACK)]);
  assert.deepEqual(answers.map(indexIn), [LOOPBACK, LOOPBACK, LOOPBACK]);
  assert.deepEqual(sockets(), before);
  line.close();
  assert.equal(sockets().length, before.length - 1);
  assert.deepEqual(line.ask([byIndex(LOOPBACK)]).map(indexIn), [LOOPBACK], 'it is opened by a question too');
});

test('NetlinkLine.ask() throws what the kernel refuses, and answers the next question', (t) => {
  const line = openLine(t);
  line.open();
  const before = sockets().length;
  // The answer to the second question stays in the old socket.
  assert.throws(() => line.ask([INVALID, byIndex(LOOPBACK)]), { name: 'SyscallError', data: 'find a link' });
  assert.equal(sockets().length, before - 1, 'closed');
  assert.deepEqual(line.ask([byIndex(LOOPBACK)]).map(indexIn), [LOOPBACK]);
  assert.equal(sockets().length, before);
});

test('NetlinkLine.ask() takes no answer for that of another question', (t) => {
  const line = openLine(t);
  const fd = openedBy(line);
  const stray = message(RTM_GETLINK, NLM_F_REQUEST, 77, byIndex(LOOPBACK));
  onSocket.send({}, fd, stray, stray.length, 0);
  assert.throws(() => line.ask([byIndex(LOOPBACK)]), /the answer to question 77, not 1,/);
  assert.deepEqual(line.ask([byIndex(LOOPBACK)]).map(indexIn), [LOOPBACK]);
});

test('NetlinkLine.ask() fails where answers are lost', (t) => {
  const line = openLine(t);
  const fd = openedBy(line);
  const stray = message(RTM_GETLINK, NLM_F_REQUEST, 1, byIndex(LOOPBACK));
  const fill = (): void => {
    for (let i = 0; i < 10_000; i++) onSocket.send({}, fd, stray, stray.length, 0);
  };
  fill(); // more than the kernel keeps for a socket
  assert.throws(() => line.ask([byIndex(LOOPBACK)]), { name: 'SyscallError' });
  assert.deepEqual(line.ask([byIndex(LOOPBACK)]).map(indexIn), [LOOPBACK]);
});

test('NetlinkLine.ask() fails where an answer is longer than it may be', (t) => {
  const line = openLine(t, 64);
  assert.throws(() => line.ask([byIndex(LOOPBACK)]), { code: 'EMSGSIZE' });
});

test('NetlinkLine hears the kernel alone', (t) => {
  const line = openLine(t);
  const address = Buffer.alloc(ADDRESS_BYTES);
  const length = Buffer.from([ADDRESS_BYTES, 0, 0, 0]);
  getsockname({}, openedBy(line), address, length);
  assert.equal(address.readUInt16LE(0), AF_NETLINK);
  assert.notEqual(address.readUInt32LE(4), 0, 'it has a number, at which others could reach it');
  const other = openSocket({}, NETLINK_ROUTE);
  t.after(() => onSocket.close({}, other));
  connect({}, other, address, ADDRESS_BYTES);
  const forged = message(RTM_GETLINK, 0, 1, byIndex(LOOPBACK + 1));
  assert.throws(() => onSocket.send({}, other, forged, forged.length, 0), { code: 'ECONNREFUSED' });
  assert.deepEqual(line.ask([byIndex(LOOPBACK)]).map(indexIn), [LOOPBACK]);
});
