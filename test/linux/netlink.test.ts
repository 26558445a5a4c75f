// Questions to the kernel: what is sent, what is understood of the answers, and what a refusal says.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test, { type TestContext } from 'node:test';
import * as netlink from '../../src/linux/netlink.js';
import { attribute, nativeUint32, readAttributes, readNativeUint32 } from '../../src/linux/netlink-attributes.js';
import { callInside } from '../network/call.js';
import { Namespace } from '../network/namespace.js';

const RECORDS = new URL('../network/connection-records.js', import.meta.url);
const RTM_GETLINK = 18;
const LINK_HEADER_BYTES = 16;
const IFLA_IFNAME = 3;
const LOOPBACK_INDEX = 1;

async function openNamespace(t: TestContext): Promise<Namespace> {
  const namespace = await Namespace.start();
  t.after(() => namespace.close());
  return namespace;
}

/** Asks for an interface of this machine by its name. */
function linkRequest(name: string): netlink.NetlinkRequest {
  const which = attribute(IFLA_IFNAME, Buffer.from(`${name}\0`));
  const body = Buffer.concat([Buffer.alloc(LINK_HEADER_BYTES), which]);
  return { protocol: netlink.NETLINK_ROUTE, type: RTM_GETLINK, body, purpose: `find "${name}"` };
}

/** Asks for all of them. */
function linksRequest(): netlink.NetlinkRequest {
  return { ...linkRequest(''), flags: netlink.NLM_F_DUMP, body: Buffer.alloc(LINK_HEADER_BYTES) };
}

function nameOf(link: Buffer): string {
  return readAttributes(link, LINK_HEADER_BYTES).get(IFLA_IFNAME)?.toString() ?? '';
}

function openSockets(): number {
  return readdirSync('/proc/self/fd').length;
}

test('netlinkRequest() returns the one message of an answer, without its header', () => {
  const [link, ...others] = netlink.netlinkRequest(linkRequest('lo'));
  assert.ok(link !== undefined && others.length === 0);
  assert.equal(readNativeUint32(link, 4), LOOPBACK_INDEX);
  assert.equal(nameOf(link), 'lo\0');
});

test('netlinkRequest() throws what the kernel answers, with what was asked', () => {
  assert.throws(() => netlink.netlinkRequest(linkRequest('nlk-none')), {
    name: 'SyscallError',
    code: 'ENODEV',
    syscall: 'netlink',
    message: 'netlink (find "nlk-none"): no such device',
  });
});

test('netlinkRequest() throws where the kernel does not speak the protocol', () => {
  assert.throws(() => netlink.netlinkRequest({ ...linkRequest('lo'), protocol: 31 }), {
    code: 'EPROTONOSUPPORT',
    message: /^socket \(find "lo"\): /,
  });
});

test('netlinkRequest() and netlinkParts() tell of everything in a dump', async () => {
  const names = netlink.netlinkRequest(linksRequest()).map(nameOf);
  assert.ok(names.includes('lo\0'));
  const parts: Buffer[] = [];
  for await (const part of netlink.netlinkParts(linksRequest())) parts.push(...part);
  assert.ok(parts.map(nameOf).includes('lo\0'));
});

test('netlinkRequest() and netlinkParts() close their sockets, also after an error and a loop that was left', async () => {
  const before = openSockets();
  netlink.netlinkRequest(linkRequest('lo'));
  assert.throws(() => netlink.netlinkRequest(linkRequest('nlk-none')));
  for await (const part of netlink.netlinkParts(linksRequest())) if (part.length > 0) break;
  const refused = netlink.netlinkParts({ ...linksRequest(), type: 9999 });
  await assert.rejects(refused.next(), { code: 'ENOTSUP' });
  assert.equal(openSockets(), before);
});

test('netlinkParts() tells of thousands part by part, and leaves other work its turn in between', async (t) => {
  const namespace = await openNamespace(t);
  const records = { count: 5000, protocol: 17, destination: '10.77.0.1', target: '10.77.0.2' };
  await callInside(namespace, RECORDS, 'makeRecords', records);
  const counted = (await callInside(namespace, RECORDS, 'countRecords')) as Record<
    'records' | 'parts' | 'turns',
    number
  >;
  assert.equal(counted.records, records.count);
  assert.ok(counted.parts > 10, `${counted.parts} parts`);
  assert.ok(counted.turns >= counted.parts / 2, `${counted.turns} turns of other work in ${counted.parts} parts`);
  assert.equal(await callInside(namespace, RECORDS, 'countRecordsAtOnce'), records.count);
});

test('attribute() fills up to four bytes, which its length does not count', () => {
  const bytes = attribute(3, Buffer.from('abcde'));
  assert.equal(bytes.length, 12);
  assert.deepEqual([...new Uint16Array(Uint8Array.from(bytes).buffer, 0, 2)], [9, 3]);
  assert.equal(bytes.toString('latin1', 4), 'abcde\0\0\0');
});

test('readAttributes() reads what attribute() wrote, also nested, from a place on', () => {
  const inner = [attribute(1, Buffer.from('x')), attribute(2, nativeUint32(0xfedcba98))];
  const bytes = Buffer.concat([Buffer.alloc(4), attribute(7, inner), attribute(8, Buffer.alloc(0))]);
  const attributes = readAttributes(bytes, 4);
  assert.deepEqual([...attributes.keys()], [7, 8]);
  const nested = readAttributes(attributes.get(7) ?? Buffer.alloc(0));
  assert.equal(nested.get(1)?.toString(), 'x');
  assert.equal(readNativeUint32(nested.get(2) ?? Buffer.alloc(4)), 0xfedcba98);
  assert.equal(attributes.get(8)?.length, 0);
});

test('readAttributes() throws for what cannot be one, instead of reading beyond it or for ever', () => {
  const tooLong = attribute(1, Buffer.alloc(8)).subarray(0, 8);
  assert.throws(() => readAttributes(tooLong), /an attribute of length 12$/);
  assert.throws(() => readAttributes(Buffer.alloc(8)), /an attribute of length 0$/);
});
