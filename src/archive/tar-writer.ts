// The bytes that stand before the content of an entry in a tar archive: its header, and the extended headers that it needs.
//
// The packer asks. What comes out is read right by GNU tar, bsdtar, busybox tar and Python's tarfile: a ustar header; GNU's own
// entries for names that do not fit, because busybox knows no other way and they hold any bytes; base-256 for numbers
// that do not fit; a pax header only for what nothing else can say, which is nanoseconds, attributes and holes.
//
// The rule that must hold: the bytes depend on the entry alone, so that the same tree gives the same archive everywhere.
//
// 2013: the tar program, which utils.go, Tar ran

import { isUtf8 } from 'node:buffer';
import { ArchiveError } from './archive-error.js';
import type { EntryKind, Extent, TarEntry } from './tar-entry.js';
import { BLOCK_SIZE, MAX_META_SIZE } from './tar-header.js';

/** How long an archive is a multiple of: tar's usual record. */
export const RECORD_SIZE = 20 * BLOCK_SIZE;

const NAME_SIZE = 100;
const PREFIX_SIZE = 155;
const NS_A_SECOND = 1_000_000_000n;
const SLASH = 0x2f;
const NOTHING = Buffer.alloc(0);

// prettier-ignore
const TYPES: Readonly<Record<EntryKind, string>> = {
  file: '0', hardlink: '1', symlink: '2', character: '3', block: '4', directory: '5', fifo: '6',
};

// Where numbers stand: offset and length.
const NUMBERS = [[100, 8], [108, 8], [116, 8], [124, 12], [136, 12], [329, 8], [337, 8]] as const; // prettier-ignore
const TEMPLATE = template();

/** What a header block says; what is left out is nothing or zero. */
interface HeaderFields {
  type: string;
  name: Buffer;
  prefix?: Buffer;
  linkName?: Buffer;
  mode: number;
  uid?: number;
  gid?: number;
  size: number;
  mtime?: bigint;
  deviceMajor?: number;
  deviceMinor?: number;
}

/** All that comes before the content of `entry`, in whole blocks. Throws where a name or the attributes are too large. */
export function entryHeader(entry: TarEntry): Buffer {
  const { kind, name, linkName, extents } = entry;
  const map = extents === undefined ? NOTHING : sparseMap(extents);
  const parts: Buffer[] = [];
  const records = paxRecords(entry);
  if (records.length > 0) parts.push(...metaEntry('x', '././@PaxHeader', Buffer.concat(records)));
  if (linkName.length > NAME_SIZE) parts.push(...metaEntry('K', '././@LongLink', withNul(linkName)));
  const place = hidesName(entry) ? { name: sparseName(name) } : splitName(name);
  if (place === undefined) parts.push(...metaEntry('L', '././@LongLink', withNul(name)));
  parts.push(
    headerBlock({
      ...entry,
      ...(place ?? { name: beginningOf(name, kind) }),
      type: TYPES[kind],
      mtime: floorSeconds(entry.mtimeNs),
      size: kind === 'file' ? map.length + storedSize(entry) : 0,
    }),
    map,
  );
  return Buffer.concat(parts);
}

/** How many bytes of content follow the header: without holes. */
export function storedSize({ size, extents }: TarEntry): number {
  return extents === undefined ? size : extents.reduce((sum, { length }) => sum + length, 0);
}

/** How many zeros follow `size` bytes of content. */
export function paddingOf(size: number): number {
  return (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE;
}

/** How many zeros end an archive of `length` bytes: two blocks, and what makes the record full. */
export function trailerOf(length: number): number {
  const end = length + 2 * BLOCK_SIZE;
  return 2 * BLOCK_SIZE + ((RECORD_SIZE - (end % RECORD_SIZE)) % RECORD_SIZE);
}

// A second name needs none: its file has been described.
function paxRecords(entry: TarEntry): Buffer[] {
  const { kind, name, size, mtimeNs, extents, xattrs } = entry;
  if (kind === 'hardlink') return [];
  const records: Buffer[] = [];
  if (mtimeNs % NS_A_SECOND !== 0n) records.push(paxRecord('mtime', Buffer.from(decimalSeconds(mtimeNs))));
  if (extents !== undefined) {
    records.push(
      paxRecord('GNU.sparse.major', Buffer.from('1')),
      paxRecord('GNU.sparse.minor', Buffer.from('0')),
      paxRecord('GNU.sparse.realsize', Buffer.from(String(size))),
    );
    if (hidesName(entry)) records.push(paxRecord('GNU.sparse.name', name));
  }
  for (const [key, value] of [...xattrs].sort(([one], [other]) => (one < other ? -1 : 1))) {
    const escaped = key.replace(/[%=]/g, (character) => (character === '=' ? '%3D' : '%25'));
    records.push(paxRecord(`SCHILY.xattr.${escaped}`, value));
  }
  return records;
}

// The length at the front counts its own digits.
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`, 'latin1'), value, Buffer.from('\n')]);
  let length = rest.length + 1;
  while (length !== rest.length + String(length).length) length = rest.length + String(length).length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function metaEntry(type: string, name: string, content: Buffer): Buffer[] {
  if (content.length > MAX_META_SIZE) {
    const what = type === 'x' ? 'its extended attributes are' : type === 'K' ? 'its target is' : 'its name is';
    throw new ArchiveError(`${what} longer than ${MAX_META_SIZE} bytes`);
  }
  const header = headerBlock({ type, name: Buffer.from(name), mode: 0o644, size: content.length });
  return [header, content, Buffer.alloc(paddingOf(content.length))];
}

function headerBlock(fields: HeaderFields): Buffer {
  const block = Buffer.from(TEMPLATE);
  fields.name.copy(block, 0, 0, NAME_SIZE);
  number(block, 100, 8, fields.mode);
  number(block, 108, 8, fields.uid ?? 0);
  number(block, 116, 8, fields.gid ?? 0);
  number(block, 124, 12, fields.size);
  number(block, 136, 12, fields.mtime ?? 0n);
  block.write(fields.type, 156, 'latin1');
  fields.linkName?.copy(block, 157, 0, NAME_SIZE);
  number(block, 329, 8, fields.deviceMajor ?? 0);
  number(block, 337, 8, fields.deviceMinor ?? 0);
  fields.prefix?.copy(block, 345);

  let sum = 0;
  for (let at = 0; at < BLOCK_SIZE; at++) sum += block[at] ?? 0;
  block.write(`${octal(sum, 6)}\0 `, 148, 'latin1');
  return block;
}

// What all header blocks have in common; the field of the checksum is what it counts as itself.
function template(): Buffer {
  const block = Buffer.alloc(BLOCK_SIZE);
  block.fill(' ', 148, 156);
  block.write('ustar\x0000', 257, 'latin1');
  for (const [offset, length] of NUMBERS) block.fill('0', offset, offset + length - 1);
  return block;
}

// Octal, and where that does not fit base-256: two's complement, the uppermost bit set.
function number(block: Buffer, offset: number, length: number, value: number | bigint): void {
  if (value === 0 || value === 0n) return; // as in the template
  if (value >= 0 && value < 8 ** (length - 1)) {
    block.write(octal(value, length - 1), offset, 'latin1');
    return;
  }
  let rest = BigInt(value);
  for (let at = offset + length - 1; at >= offset; at--) {
    block[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  block[offset] = (block[offset] ?? 0) | 0x80;
}

function octal(value: number | bigint, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

// As `name`, or as `prefix/name` where that fits; undefined where it does not.
function splitName(name: Buffer): { name: Buffer; prefix?: Buffer } | undefined {
  if (name.length <= NAME_SIZE) return { name };
  const slash = name.indexOf(SLASH, name.length - NAME_SIZE - 1);
  // The slash at the end of a directory's name is no place to split it.
  if (slash <= 0 || slash > PREFIX_SIZE || slash === name.length - 1) return undefined;
  return { name: name.subarray(slash + 1), prefix: name.subarray(0, slash) };
}

// What a header has of a name that stands in full before it. A file's must not end in a slash: that was a directory once.
function beginningOf(name: Buffer, kind: EntryKind): Buffer {
  const isMisleading = kind !== 'directory' && name[NAME_SIZE - 1] === SLASH;
  return name.subarray(0, isMisleading ? NAME_SIZE - 1 : NAME_SIZE);
}

// A reader who knows nothing of sparse files must not take what is stored for the file itself, so the pax header has the
// name. But bsdtar complains of records that are no UTF-8.
function hidesName({ name, extents }: TarEntry): boolean {
  return extents !== undefined && isUtf8(name);
}

function sparseName(name: Buffer): Buffer {
  const base = name.subarray(name.lastIndexOf(SLASH) + 1);
  return Buffer.concat([Buffer.from('./GNUSparseFile.0/'), base.subarray(0, 80)]);
}

// How many extents, then their numbers, a line each, in whole blocks.
function sparseMap(extents: readonly Extent[]): Buffer {
  const lines = [extents.length, ...extents.flatMap(({ offset, length }) => [offset, length])];
  const text = Buffer.from(`${lines.join('\n')}\n`);
  return Buffer.concat([text, Buffer.alloc(paddingOf(text.length))]);
}

function withNul(name: Buffer): Buffer {
  return Buffer.concat([name, Buffer.of(0)]);
}

// Downwards, also before 1970: the fraction that a pax header adds is never negative.
function floorSeconds(mtimeNs: bigint): bigint {
  const fraction = ((mtimeNs % NS_A_SECOND) + NS_A_SECOND) % NS_A_SECOND;
  return (mtimeNs - fraction) / NS_A_SECOND;
}

function decimalSeconds(mtimeNs: bigint): string {
  const magnitude = mtimeNs < 0n ? -mtimeNs : mtimeNs;
  const fraction = (magnitude % NS_A_SECOND).toString().padStart(9, '0').replace(/0+$/, '');
  return `${mtimeNs < 0n ? '-' : ''}${magnitude / NS_A_SECOND}.${fraction}`;
}
