// What the messages of netlink(7) consist of behind their headers: attributes, each with its length, its type and its bytes,
// which may be attributes again.
//
// `netlink.ts` sends and receives them; those who ask write and read them here.
//
// The rule that must hold: numbers are in the byte order of the processor, and everything begins at a multiple of four bytes.
//
// 2013: none

import { endianness } from 'node:os';

/** For a DataView. */
export const IS_LITTLE_ENDIAN = endianness() === 'LE';

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
/** Of struct nlattr, which has the length at 0 and the type at 2. */
const HEADER_BYTES = 4;

/** An attribute with its padding; of several parts it is a nested one, and they are attributes. */
export function attribute(type: number, value: Uint8Array | readonly Uint8Array[]): Buffer {
  const isNested = !(value instanceof Uint8Array);
  const content = isNested ? Buffer.concat(value) : value;
  const length = HEADER_BYTES + content.length;
  const bytes = Buffer.alloc(aligned(length));
  viewOf(bytes).setUint16(0, length, IS_LITTLE_ENDIAN);
  viewOf(bytes).setUint16(2, isNested ? type | NLA_F_NESTED : type, IS_LITTLE_ENDIAN);
  bytes.set(content, HEADER_BYTES);
  return bytes;
}

/** The attributes that begin at `start`, by type; what is in a nested one is read by another call. */
export function readAttributes(bytes: Buffer, start = 0): Map<number, Buffer> {
  const attributes = new Map<number, Buffer>();
  const view = viewOf(bytes);
  for (let at = start; at + HEADER_BYTES <= bytes.length;) {
    const length = view.getUint16(at, IS_LITTLE_ENDIAN);
    if (length < HEADER_BYTES || at + length > bytes.length) throw new Error(malformed('an attribute', length));
    const type = view.getUint16(at + 2, IS_LITTLE_ENDIAN) & NLA_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return attributes;
}

/** A number of 32 bits as the processor has it. */
export function nativeUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  viewOf(bytes).setUint32(0, value, IS_LITTLE_ENDIAN);
  return bytes;
}

/** The number that `nativeUint32` makes these bytes of. */
export function readNativeUint32(bytes: Buffer, at = 0): number {
  return viewOf(bytes).getUint32(at, IS_LITTLE_ENDIAN);
}

/** Where the next thing begins after one that ends at `length`. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** To read and write the numbers in these bytes. */
export function viewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** The message for an answer that cannot be one. */
export function malformed(what: string, length: number): string {
  return `Cannot read an answer of the kernel: it holds ${what} of length ${length}`;
}
