// The records of pax extended headers: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record in decimal.
//
// The tar reader asks. Values are bytes (a capability or a file name is no text), keys have one character a byte.

import { ArchiveError, quoteName } from './archive-error.js';

/** One record. The order counts: sparse maps repeat their keys. */
export interface PaxRecord {
  key: string;
  value: Buffer;
}

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const SCHILY_XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';

/** The records of the content of an extended header. Throws where it does not add up. */
export function parsePax(content: Buffer): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < content.length;) {
    const space = content.indexOf(SPACE, at);
    const length = space < 0 ? 0 : parsePaxNumber(content.subarray(at, space));
    const record = content.subarray(at, at + length);
    const equals = record.indexOf(EQUALS, space - at + 1);
    if (record.length !== length || record[length - 1] !== NEWLINE || equals < 0) {
      throw new ArchiveError(`malformed extended header record at byte ${at}`);
    }
    records.push({
      key: record.toString('latin1', space - at + 1, equals),
      value: Buffer.from(record.subarray(equals + 1, length - 1)),
    });
    at += length;
  }
  return records;
}

/** A size, an id or an offset: decimal, not negative, exact as a JavaScript number. */
export function parsePaxNumber(value: Buffer): number {
  const text = value.toString('latin1');
  const number = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!Number.isSafeInteger(number)) throw new ArchiveError(`number ${quoteName(value)} is invalid or out of range`);
  return number;
}

/** A time, `[-]SECONDS[.FRACTION]`, in nanoseconds; finer digits are cut. */
export function parsePaxTime(value: Buffer): bigint {
  const text = value.toString('latin1');
  const [, sign, seconds, fraction] = /^(-?)(\d{1,18})(?:\.(\d*))?$/.exec(text) ?? [];
  if (seconds === undefined) throw new ArchiveError(`time ${quoteName(value)} is invalid or out of range`);
  const magnitude = BigInt(seconds) * 1_000_000_000n + BigInt((fraction ?? '').slice(0, 9).padEnd(9, '0'));
  return sign === '-' ? -magnitude : magnitude;
}

/** The extended attributes among the records, as star and GNU tar write them and as libarchive does. */
export function paxXattrs(records: readonly PaxRecord[]): Map<string, Buffer> {
  const xattrs = new Map<string, Buffer>();
  for (const { key, value } of records) {
    if (key.startsWith(SCHILY_XATTR)) {
      // GNU tar hides the two characters that would break a record.
      const name = key.slice(SCHILY_XATTR.length).replace(/%(3D|25)/g, (code) => (code === '%3D' ? '=' : '%'));
      xattrs.set(name, value);
    } else if (key.startsWith(LIBARCHIVE_XATTR)) {
      xattrs.set(percentDecoded(key.slice(LIBARCHIVE_XATTR.length)), Buffer.from(value.toString('latin1'), 'base64'));
    }
  }
  return xattrs;
}

function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}
