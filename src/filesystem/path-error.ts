// What goes wrong with a file, in the words of 2013, which were Go's: `open /a/b: no such file or directory`. The commands
// that look into a container answer with them.
//
// 2013: package os, PathError

import { getSystemErrorMap } from 'node:util';

/** Where Go, which asks C, has other words than node. */
const TEXTS: Readonly<Record<string, string>> = {
  EIO: 'input/output error',
  EISDIR: 'is a directory',
  ELOOP: 'too many levels of symbolic links',
  ENAMETOOLONG: 'file name too long',
  ETXTBSY: 'text file busy',
};

/** See the head of the file. */
export class PathError extends Error {
  constructor(operation: string, path: string, text: string, options?: ErrorOptions) {
    super(`${operation} ${path}: ${text}`, options);
    this.name = 'PathError';
  }

  /** The error for the errno named `code`. */
  static ofCode(operation: string, path: string, code: string, options?: ErrorOptions): PathError {
    const known = [...getSystemErrorMap().values()].find(([name]) => name === code);
    return new PathError(operation, path, TEXTS[code] ?? known?.[1] ?? code, options);
  }

  /** What to throw for an error of a system call, node's or ours. One that carries no code stays as it is. */
  static from(operation: string, path: string, error: unknown): unknown {
    if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error;
    return PathError.ofCode(operation, path, error.code, { cause: error });
  }
}
