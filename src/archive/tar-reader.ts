// Reads a tar archive that comes in chunks, and hands its entries and their content to a `TarSink`, at once and in order.
//
// The unpack worker pushes. Memory is bounded: content is passed on as it comes, only extended headers and sparse maps are kept, up to
// a limit. ustar, GNU and pax archives are understood, and old ones without a magic; several archives in a row are not: as
// with tar itself, the first block of zeros is the end, and what follows is passed over.
//
// The rule that must hold: nothing is guessed. What is not understood to the last byte ends the reading with an `ArchiveError`.
//
// 2013: the tar program, which image/archive.go, Untar ran

import { ArchiveError, explain } from './archive-error.js';
import { parsePax, parsePaxNumber, parsePaxTime, paxXattrs, type PaxRecord } from './pax.js';
import {
  addExtents,
  checkExtents,
  parseOldSparseExtension,
  parseOldSparseHeader,
  parsePaxSparse,
  SparseMapParser,
} from './sparse.js';
import type { EntryKind, TarEntry, TarSink } from './tar-entry.js';
import {
  BLOCK_SIZE, MAX_META_SIZE, bytesField, hasValidChecksum, parseHeader, type TarHeader,
} from './tar-header.js'; // prettier-ignore

const ZEROS = Buffer.alloc(BLOCK_SIZE);
const CANNOT_READ = 'Cannot read the archive';

// prettier-ignore
const KINDS: Readonly<Record<string, EntryKind>> = {
  '1': 'hardlink', '2': 'symlink', '3': 'character', '4': 'block', '5': 'directory', '6': 'fifo', D: 'directory',
};
const WITHOUT_CONTENT = '123456'; // whatever size their header says
const META = 'LKxXg';
const SKIPPED = 'AINV'; // ACLs, inode numbers, names and volume labels of makes that are gone
const GLOBAL_KEYS = ['uid', 'gid', 'mtime']; // what a global header can sensibly say about every entry

// What the headers before an entry say about it.
interface Pending {
  longName?: Buffer;
  longLink?: Buffer;
  records?: PaxRecord[];
}

/** Push in the archive with `push`, then say `end`. After an error the reader is of no use. */
export class TarReader {
  readonly #sink: TarSink;
  #entries = 0;
  #offset = 0; // of the next byte to be looked at, for messages
  #isAtEnd = false;

  // What comes next is the rest of a body, then padding, then a whole block for #takeBlock.
  #remaining = 0;
  #padding = 0;
  #takePart: (part: Buffer) => void = ignore;
  #finishBody: () => void = ignore;
  readonly #block = Buffer.alloc(BLOCK_SIZE);
  #blockLength = 0;
  #takeBlock: (block: Buffer) => void;

  #pending: Pending = {};
  readonly #globals = new Map<string, Buffer>();
  #entry: TarEntry | undefined;
  #position = 0; // in the content of the entry
  #extent = 0; // the one being filled, of a sparse file
  #extentFilled = 0;

  constructor(sink: TarSink) {
    this.#sink = sink;
    this.#takeBlock = this.#takeHeader;
  }

  /** How many entries have begun. */
  get entries(): number {
    return this.#entries;
  }

  /** Takes the next bytes. They are not kept. Throws `ArchiveError`, or what the sink throws. */
  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length && !this.#isAtEnd;) {
      const rest = chunk.length - at;
      let taken: number;
      if (this.#remaining > 0) {
        taken = Math.min(rest, this.#remaining);
        this.#remaining -= taken;
        this.#takePart(chunk.subarray(at, at + taken));
        if (this.#remaining === 0) this.#finishBody();
      } else if (this.#padding > 0) {
        taken = Math.min(rest, this.#padding);
        this.#padding -= taken;
      } else {
        taken = Math.min(rest, BLOCK_SIZE - this.#blockLength);
        chunk.copy(this.#block, this.#blockLength, at, at + taken);
        this.#blockLength += taken;
      }
      at += taken;
      this.#offset += taken;
      if (this.#blockLength === BLOCK_SIZE) {
        this.#blockLength = 0;
        this.#takeBlock(this.#block);
      }
    }
  }

  /** Says that there is no more. Throws where the archive is cut off. The blocks of zeros at the end may be missing. */
  end(): void {
    if (this.#isAtEnd) return;
    if (this.#offset === 0) throw new ArchiveError(`${CANNOT_READ}: it is empty`);
    if (this.#offset < BLOCK_SIZE) throw new ArchiveError(`${CANNOT_READ}: it is no tar archive`);
    const isWithin = this.#remaining > 0 || this.#padding > 0 || this.#blockLength > 0;
    if (isWithin || this.#takeBlock !== this.#takeHeader || hasFields(this.#pending)) {
      throw new ArchiveError(`${CANNOT_READ}: it is cut off at byte ${this.#offset}, within an entry`);
    }
  }

  readonly #takeHeader = (block: Buffer): void => {
    const start = this.#offset - BLOCK_SIZE;
    if (block[0] === 0 && block.equals(ZEROS)) {
      if (hasFields(this.#pending)) throw new ArchiveError(`${CANNOT_READ}: the entry at byte ${start} is missing`);
      this.#isAtEnd = true;
      return;
    }
    if (!hasValidChecksum(block)) {
      const what = start === 0 ? 'it is no tar archive' : `header at byte ${start}: the checksum is wrong`;
      throw new ArchiveError(`${CANNOT_READ}: ${what}`);
    }
    const at = `${CANNOT_READ}: header at byte ${start}`;
    const header = explain(at, () => parseHeader(block));
    if (META.includes(header.type)) this.#beginMeta(at, header);
    else if (SKIPPED.includes(header.type)) this.#beginBody(header.size, ignore, ignore);
    else if (header.type === 'M') throw new ArchiveError(`${at}: it continues a file of another volume`);
    else this.#describe(at, header, block);
  };

  #beginMeta(at: string, { type, size }: TarHeader): void {
    if (size > MAX_META_SIZE) throw new ArchiveError(`${at}: an extended header of ${size} bytes is too large`);
    const content = Buffer.alloc(size);
    let length = 0;
    const take = (part: Buffer): void => {
      length += part.copy(content, length);
    };
    this.#beginBody(size, take, () => {
      if (type === 'L') this.#pending.longName = bytesField(content, 0, size);
      else if (type === 'K') this.#pending.longLink = bytesField(content, 0, size);
      else explain(at, () => this.#keepRecords(type, parsePax(content)));
    });
  }

  #keepRecords(type: string, records: PaxRecord[]): void {
    if (type !== 'g') this.#pending.records = records;
    else for (const { key, value } of records) if (GLOBAL_KEYS.includes(key)) this.#globals.set(key, value);
  }

  // Makes one entry of a header and of what the headers before it say, then waits for its sparse map where it has one to come.
  #describe(at: string, header: TarHeader, block: Buffer): void {
    const { longName, longLink, records = [] } = this.#pending;
    this.#pending = {};
    const fields = new Map(this.#globals);
    for (const { key, value } of records) fields.set(key, value);
    for (const [key, value] of fields) if (value.length === 0) fields.delete(key); // an empty value takes back a global one

    const { entry, storedSize, sparse } = explain(at, () => {
      const number = (key: string, otherwise: number): number => {
        const value = fields.get(key);
        return value === undefined ? otherwise : parsePaxNumber(value);
      };
      const name = fields.get('GNU.sparse.name') ?? fields.get('path') ?? longName ?? header.name;
      const mtime = fields.get('mtime');
      const kind = KINDS[header.type] ?? (name.at(-1) === 0x2f ? 'directory' : 'file'); // so did archives before 1988
      const storedSize = WITHOUT_CONTENT.includes(header.type) ? 0 : number('size', header.size);
      const entry: TarEntry = {
        kind,
        name,
        linkName: fields.get('linkpath') ?? longLink ?? header.linkName,
        mode: header.mode & 0o7777,
        uid: number('uid', header.uid),
        gid: number('gid', header.gid),
        size: storedSize,
        mtimeNs: mtime === undefined ? header.mtimeNs : parsePaxTime(mtime),
        deviceMajor: number('SCHILY.devmajor', header.deviceMajor),
        deviceMinor: number('SCHILY.devminor', header.deviceMinor),
        xattrs: paxXattrs(records),
        extents: undefined,
      };
      return { entry, storedSize, sparse: kind === 'file' ? parsePaxSparse(records) : undefined };
    });
    if (header.type === 'S') this.#awaitOldMap(at, entry, storedSize, block);
    else if (sparse === undefined) this.#beginEntry(at, entry, storedSize);
    else if (sparse.extents === undefined) this.#awaitMap(at, { ...entry, size: sparse.size }, storedSize);
    else this.#beginEntry(at, { ...entry, ...sparse }, storedSize);
  }

  // GNU's own form: further extents stand in blocks of their own, which the size of the entry does not count.
  #awaitOldMap(at: string, entry: TarEntry, storedSize: number, block: Buffer): void {
    const { extents, size, hasMore } = explain(at, () => parseOldSparseHeader(block));
    const begin = (): void => this.#beginEntry(at, { ...entry, size, extents }, storedSize);
    if (!hasMore) {
      begin();
      return;
    }
    this.#takeBlock = (extension) => {
      const further = explain(at, () => {
        const parsed = parseOldSparseExtension(extension);
        addExtents(extents, parsed.extents);
        return parsed;
      });
      if (!further.hasMore) begin();
    };
  }

  // Form 1.0: the map is the first part of the content.
  #awaitMap(at: string, entry: TarEntry, storedSize: number): void {
    const parser = new SparseMapParser();
    let contentSize = storedSize;
    this.#takeBlock = (block) => {
      contentSize -= BLOCK_SIZE;
      if (contentSize < 0) throw new ArchiveError(`${at}: the sparse map is longer than the content`);
      const extents = explain(at, () => parser.push(block));
      if (extents !== undefined) this.#beginEntry(at, { ...entry, extents }, contentSize);
    };
  }

  #beginEntry(at: string, entry: TarEntry, storedSize: number): void {
    const { extents, size } = entry;
    if (extents !== undefined) explain(at, () => checkExtents(extents, storedSize, size));
    this.#entries++;
    this.#entry = entry;
    this.#position = 0;
    this.#extent = 0;
    this.#extentFilled = 0;
    this.#sink.begin(entry);
    this.#beginBody(storedSize, extents === undefined ? this.#write : this.#writeSparse, this.#finishEntry);
  }

  #beginBody(size: number, take: (part: Buffer) => void, finish: () => void): void {
    this.#takeBlock = this.#takeHeader;
    this.#remaining = size;
    this.#padding = (BLOCK_SIZE - (size % BLOCK_SIZE)) % BLOCK_SIZE;
    this.#takePart = take;
    this.#finishBody = finish;
    if (size === 0) finish();
  }

  readonly #write = (part: Buffer): void => {
    this.#sink.write(part, this.#position);
    this.#position += part.length;
  };

  readonly #writeSparse = (part: Buffer): void => {
    for (let at = 0; at < part.length;) {
      const extent = this.#entry?.extents?.[this.#extent];
      if (extent === undefined) return; // cannot be: checkExtents has counted
      const length = Math.min(part.length - at, extent.length - this.#extentFilled);
      if (length > 0) this.#sink.write(part.subarray(at, at + length), extent.offset + this.#extentFilled);
      this.#extentFilled += length;
      at += length;
      if (this.#extentFilled === extent.length) {
        this.#extent++;
        this.#extentFilled = 0;
      }
    }
  };

  readonly #finishEntry = (): void => this.#sink.finish();
}

function hasFields(pending: Pending): boolean {
  return Object.keys(pending).length > 0;
}

function ignore(): void {
  // a body that nobody wants
}
