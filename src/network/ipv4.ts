// IPv4 addresses and ranges as numbers, so that they can be counted and compared.
//
// 2013: network.go, networkRange, networkSize, ipToInt and intToIp

/** An address and the length of the prefix that its network has: what `172.17.0.1/16` says. */
export interface Cidr {
  /** 0 to 2^32 - 1 */
  address: number;
  /** 0 to 32 */
  prefixLength: number;
}

/** The first and the last address of a network: that of the network itself, and the broadcast address. */
export interface Range {
  first: number;
  last: number;
}

const ADDRESSES = 2 ** 32;
const OCTET_BITS = [24, 16, 8, 0];

/** The number of `a.b.c.d`; undefined for what is no address. 2013: ipToInt */
export function parseIpv4(text: string): number | undefined {
  const octets = text.split('.');
  if (octets.length !== 4 || !octets.every((octet) => /^(0|[1-9]\d{0,2})$/.test(octet) && Number(octet) < 256)) {
    return undefined;
  }
  return octets.reduce((sum, octet) => sum * 256 + Number(octet), 0);
}

/** `a.b.c.d`. 2013: intToIp */
export function formatIpv4(address: number): string {
  return OCTET_BITS.map((bits) => (address >>> bits) & 0xff).join('.');
}

/** The address and prefix of `a.b.c.d/n`; undefined for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [, addressText = '', digits = ''] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const address = parseIpv4(addressText);
  const prefixLength = Number(digits);
  return address === undefined || prefixLength > 32 ? undefined : { address, prefixLength };
}

/** `a.b.c.d/n`. */
export function formatCidr({ address, prefixLength }: Cidr): string {
  return `${formatIpv4(address)}/${prefixLength}`;
}

/** How many addresses a network has, its own and the broadcast address among them. 2013: networkSize */
export function networkSize(prefixLength: number): number {
  return 2 ** (32 - prefixLength);
}

/** The network that an address is in. 2013: networkRange */
export function networkRange({ address, prefixLength }: Cidr): Range {
  const size = networkSize(prefixLength);
  const first = address - (address % size);
  return { first, last: Math.min(first + size, ADDRESSES) - 1 };
}

/** Whether two networks have an address in common. */
export function overlaps(one: Cidr, other: Cidr): boolean {
  const [a, b] = [networkRange(one), networkRange(other)];
  return a.first <= b.last && b.first <= a.last;
}

/** The hardware address that belongs to an address: `02:42`, a locally administered one, then its four bytes. */
export function macOf(address: number): string {
  const bytes = [0x02, 0x42, ...OCTET_BITS.map((bits) => (address >>> bits) & 0xff)];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}
