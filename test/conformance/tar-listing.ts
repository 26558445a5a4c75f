// What is in an archive, as sorted lines: type and mode, owner, name, and of a file its length and the start of its checksum.
//
// A reader of its own: what the daemon's reader takes for right must not be what is right. It knows ustar, GNU's long names
// and PAX headers; 2013 knew no other end of an archive than two blocks of zeros.

import { sha256Start } from './sha256.js';
import { decode, encode } from './bytes.js';

const BLOCK = 512;
const KINDS: Readonly<Record<string, string>> = { '0': '-', '\0': '-', '7': '-', '1': 'h', '2': 'l', '5': 'd' };

/** One entry, as its header and those before it say. */
export interface Entry {
  type: string;
  name: Buffer;
  link: Buffer;
  content: Buffer;
  header: Buffer;
}

/** The lines for those entries whose name matches. Throws where the archive is damaged. */
export function listTar(archive: Buffer, filter = ''): string {
  const wanted = new RegExp(filter);
  return readEntries(archive)
    .map((entry) => ({ ...entry, text: decode(entry.name).replace(/\/+$/, '') }))
    .filter(({ text }) => wanted.test(text))
    .sort((a, b) => Buffer.compare(encode(a.text), encode(b.text)))
    .map((entry) => lineOf(entry.text, entry))
    .join('');
}

/** All entries. Throws where the archive is damaged. */
export function readEntries(archive: Buffer): Entry[] {
  if (archive.length > 0 && !archive.subarray(-2 * BLOCK).equals(Buffer.alloc(2 * BLOCK))) {
    throw new Error('Cannot list the archive: it lacks its end, two blocks of zeros');
  }
  const entries: Entry[] = [];
  let long = new Map<string, Buffer>(); // what the headers before an entry say of it
  for (let at = 0; at < archive.length && archive[at] !== 0;) {
    const header = archive.subarray(at, at + BLOCK);
    checkSum(header, at);
    const size = Number(long.get('size')?.toString() ?? number(header, 124, 12));
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    const type = header.toString('latin1', 156, 157);
    at += BLOCK * (1 + Math.ceil(size / BLOCK));
    if (type === 'L' || type === 'K') long.set(type === 'L' ? 'path' : 'linkpath', field(content, 0, size));
    else if (type === 'x') for (const [key, value] of paxRecords(content)) long.set(key, value);
    else if (type !== 'g') {
      const name = long.get('path') ?? ustarName(header);
      entries.push({ type, name, link: long.get('linkpath') ?? field(header, 157, 100), content, header });
      long = new Map();
    }
  }
  return entries;
}

function lineOf(name: string, { type, link, content, header }: Entry): string {
  const kind = KINDS[type] ?? '?';
  const mode = (number(header, 100, 8) & 0o7777).toString(8).padStart(4, '0');
  const line = `${kind}${mode} ${number(header, 108, 8)}:${number(header, 116, 8)} ${name}`;
  if (kind === 'l' || kind === 'h') return `${line} -> ${decode(link)}\n`;
  if (kind !== '-') return `${line}\n`;
  return `${line} ${content.length} ${sha256Start(content)}\n`;
}

function checkSum(header: Buffer, at: number): void {
  const sum = header.reduce((total, byte, place) => total + (place >= 148 && place < 156 ? 32 : byte), 0);
  if (sum !== number(header, 148, 8))
    throw new Error(`Cannot list the archive: the header at ${at} has a wrong checksum`);
}

/** GNU has no prefix; its magic ends in a blank. */
function ustarName(header: Buffer): Buffer {
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? field(header, 345, 155) : Buffer.of();
  const name = field(header, 0, 100);
  return prefix.length > 0 ? Buffer.concat([prefix, Buffer.from('/'), name]) : name;
}

function paxRecords(content: Buffer): [key: string, value: Buffer][] {
  const records: [string, Buffer][] = [];
  for (let at = 0; at < content.length;) {
    const length = Number.parseInt(content.toString('latin1', at, at + 20), 10);
    if (!(length > 0)) throw new Error('Cannot list the archive: an extended header is damaged');
    const record = content.subarray(content.indexOf(' ', at) + 1, at + length - 1);
    const equals = record.indexOf('=');
    records.push([record.toString('utf8', 0, equals), record.subarray(equals + 1)]);
    at += length;
  }
  return records;
}

/** A field, up to the zero that ends it. */
function field(block: Buffer, offset: number, length: number): Buffer {
  const bytes = block.subarray(offset, offset + length);
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** A number in octal, or where the first bit is set in binary. */
function number(block: Buffer, offset: number, length: number): number {
  if (block[offset] === 0x80) return Number(block.readBigUInt64BE(offset + length - 8));
  return Number.parseInt(field(block, offset, length).toString('latin1').trim() || '0', 8);
}
