// Reading a file of the data directory that may be anything: a folder, a link to somewhere, a FIFO, a device, a hundred
// gigabytes, or bytes that are no text. Only a regular file is opened, and only one of a size that makes sense.
//
// 2013: ioutil.ReadFile, which would have waited for ever at a FIFO

import { isUtf8 } from 'node:buffer';
import { closeSync, constants, lstatSync, openSync, readSync, type Stats } from 'node:fs';

/** The longest config.json or userdata.json, in bytes: a call of the longest line makes less. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;

/** The text of a regular file; undefined where nothing has that name. Throws why it cannot be read, without its name. */
export function readRegularFile(path: string, maxBytes = MAX_RECORD_BYTES): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (!found.isFile()) throw new Error(`it is ${kindOf(found)}`);
  if (found.size > maxBytes) throw new Error(`it has ${found.size} bytes, and more than ${maxBytes} make no sense`);
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const bytes = readBytes(file, found.size);
    if (!isUtf8(bytes)) throw new Error('it holds what is no text');
    return bytes.toString();
  } finally {
    closeSync(file);
  }
}

/** As many as were there when the size was asked for: node's own readFileSync asks again, and a daemon reads thousands. */
function readBytes(file: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let at = 0; at < size;) {
    const read = readSync(file, bytes, at, size - at, null);
    if (read === 0) return bytes.subarray(0, at);
    at += read;
  }
  return bytes;
}

/** What kind of thing lies there, for a sentence. */
export function kindOf(
  found: Pick<Stats, 'isDirectory' | 'isFile' | 'isFIFO' | 'isSocket' | 'isSymbolicLink'>,
): string {
  if (found.isFile()) return 'a file';
  if (found.isDirectory()) return 'a folder';
  if (found.isSymbolicLink()) return 'a symbolic link';
  if (found.isFIFO()) return 'a FIFO';
  return found.isSocket() ? 'a socket' : 'a device';
}
