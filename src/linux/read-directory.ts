// The names in an open directory, with their types: without another look-up of it by a path, which costs more than the
// reading.
//
// Whoever walks trees calls it. Blocks.
//
// 2013: package os, File.Readdir

import { endianness } from 'node:os';
import { bind, bindUnless } from './libc.js';

const BUFFER_SIZE = 32 * 1024;
/** Of struct linux_dirent64: where the length of the record, the type and the name are. */
const RECORD_LENGTH = 16;
const TYPE = 18;
const NAME = 19;
/** The types are those of S_IFMT, so many bits further down; 0 where the file system does not tell. */
const TYPE_SHIFT = 12;

const native = {
  getdents64: bindUnless(['ENOENT'], 'long getdents64(int fd, void *buffer, size_t size)'),
  lseek: bind('long lseek(int fd, long offset, int whence)'),
};

/** A name in a directory. */
export interface DirectoryName {
  /** one character a byte (latin1) */
  name: string;
  /** its type bits, as `S_IFDIR`; undefined where the file system does not tell */
  type: number | undefined;
}

/** Owns the memory that the kernel writes to, so that reading many directories takes it once. */
export class DirectoryReader {
  readonly #buffer = Buffer.allocUnsafe(BUFFER_SIZE);

  /** All names in the open directory but `.` and `..`, in no order. */
  read(fd: number): DirectoryName[] {
    const names: DirectoryName[] = [];
    native.lseek({}, fd, 0, 0);
    for (;;) {
      // Of a directory that is removed by now the kernel says that it is not there: nothing is in it.
      const length = native.getdents64({}, fd, this.#buffer, BUFFER_SIZE) ?? 0;
      if (length === 0) return names;
      for (let at = 0; at < length; at += this.#recordLength(at)) this.#take(at, names);
    }
  }

  #recordLength(at: number): number {
    return endianness() === 'LE'
      ? this.#buffer.readUInt16LE(at + RECORD_LENGTH)
      : this.#buffer.readUInt16BE(at + RECORD_LENGTH);
  }

  #take(at: number, names: DirectoryName[]): void {
    const type = this.#buffer[at + TYPE] ?? 0;
    const name = this.#buffer.toString('latin1', at + NAME, this.#buffer.indexOf(0, at + NAME));
    if (name !== '.' && name !== '..') names.push({ name, type: type === 0 ? undefined : type << TYPE_SHIFT });
  }
}
