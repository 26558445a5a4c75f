// The seam to the kernel. Every file of this room binds the C functions of one topic through `bind` or `bindAsync`;
// nothing outside `src/linux/` calls FFI or knows an errno number.
//
// The rule that must hold: errno is read in the statement after the call, before any other JavaScript runs, and becomes
// a `SyscallError` that tells what was tried, on what, and why it failed.
//
// 2013: package syscall, and the raw `syscall.RawSyscall` calls of docker/docker.go

import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import koffi from 'koffi';
import { onOneLine } from '../util/table.js';

const SYSTEM_ERRORS = getSystemErrorMap(); // node makes a new map at each call

/** What a C function may be given. A path that is no UTF-8 goes as bytes that end in NUL. */
export type NativeArgument =
  number | bigint | string | Uint8Array | Uint16Array | Int32Array | BigInt64Array | readonly (string | null)[] | null;

/** What an error message may say about a call beyond its name. */
export interface CallFacts {
  path?: string;
  /** flags by name, as in `MS_RDONLY|MS_NODEV` */
  flags?: string;
  /** the option string of a mount, and the like */
  data?: string;
}

/** A system call that failed: `code` is the errno's name (`ENOENT`), `syscall` the C function. */
export class SyscallError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly path: string | undefined;
  readonly flags: string | undefined;
  readonly data: string | undefined;

  constructor(syscall: string, errno: number, facts: CallFacts) {
    const [code, text] = SYSTEM_ERRORS.get(-errno) ?? [`ERRNO_${errno}`, 'unknown error'];
    // Names may hold anything: an error of one line stays one.
    const on = facts.path === undefined ? '' : ` '${onOneLine(facts.path)}'`;
    const how = [facts.flags, facts.data].filter((part) => part !== undefined && part !== '').join(', ');
    super(`${syscall}${on}${how === '' ? '' : ` (${onOneLine(how)})`}: ${text}`);
    this.name = 'SyscallError';
    this.code = code;
    this.syscall = syscall;
    this.path = facts.path;
    this.flags = facts.flags;
    this.data = facts.data;
  }
}

/** True for an error of Node's or of ours that carries the errno name `code`. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

// The symbols of the running program: node links the C library, so this is the one already in use (glibc or musl).
const libc = koffi.load(null);

/**
 * Binds the C function of `declaration` (C syntax, result `int` or `long`, negative on failure).
 * The returned function blocks; it throws `SyscallError`.
 */
export function bind(declaration: string): (facts: CallFacts, ...args: NativeArgument[]) => number {
  const native = libc.func(declaration);
  return (facts, ...args) => {
    const result = native(...args) as number; // koffi types every result as `any`; the declaration says it is a number
    if (result >= 0) return result;
    throw new SyscallError(native.info.name, koffi.errno(), facts);
  };
}

/**
 * As `bind`, but undefined where the call fails of one of `codes`: for failures that are an answer, and so frequent that an
 * error for each would cost more than the call.
 */
export function bindUnless(
  codes: readonly (keyof typeof constants.errno)[],
  declaration: string,
): (facts: CallFacts, ...args: NativeArgument[]) => number | undefined {
  const native = libc.func(declaration);
  const answers = codes.map((code) => constants.errno[code]);
  return (facts, ...args) => {
    const result = native(...args) as number; // as in `bind`
    if (result >= 0) return result;
    const errno = koffi.errno();
    if (answers.includes(errno)) return undefined;
    throw new SyscallError(native.info.name, errno, facts);
  };
}

/** As `bind`, for a function that returns what others have in errno, and 0 where it succeeds. */
export function bindErrno(declaration: string): (facts: CallFacts, ...args: NativeArgument[]) => void {
  const native = libc.func(declaration);
  return (facts, ...args) => {
    const errno = native(...args) as number; // as in `bind`
    if (errno !== 0) throw new SyscallError(native.info.name, errno, facts);
  };
}

/** As `bind`, but the call runs on a thread of libuv's pool: for what may block. Buffers passed in must not be reused before. */
export function bindAsync(declaration: string): (facts: CallFacts, ...args: NativeArgument[]) => Promise<number> {
  const call = bindInPool(declaration);
  return async (facts, ...args) => {
    const { result, errno, name } = await call(args);
    if (result >= 0) return result;
    throw new SyscallError(name, errno, facts);
  };
}

/** As `bindErrno`, but the call runs on a thread of the pool, as with `bindAsync`. */
export function bindErrnoAsync(declaration: string): (facts: CallFacts, ...args: NativeArgument[]) => Promise<void> {
  const call = bindInPool(declaration);
  return async (facts, ...args) => {
    const { result, name } = await call(args);
    if (result !== 0) throw new SyscallError(name, result, facts);
  };
}

interface PoolResult {
  result: number;
  errno: number;
  /** of the C function */
  name: string;
}

function bindInPool(declaration: string): (args: NativeArgument[]) => Promise<PoolResult> {
  const native = libc.func(declaration);
  return (args) =>
    new Promise((resolve, reject) => {
      native.async(...args, (error: Error | null, result: number) => {
        const errno = koffi.errno(); // koffi restores the thread's errno around this callback
        if (error === null) resolve({ result, errno, name: native.info.name });
        else reject(error);
      });
    });
}

/** Binds a C function that returns nothing and cannot fail. */
export function bindVoid(declaration: string): (...args: NativeArgument[]) => void {
  return libc.func(declaration);
}

/** The names of the bits of `value`, for messages: `flagNames(3, {A: 1, B: 2})` is `A|B`. */
export function flagNames(value: number, names: Readonly<Record<string, number>>): string {
  return Object.entries(names)
    .filter(([, bit]) => bit !== 0 && (value & bit) === bit)
    .map(([name]) => name)
    .join('|');
}
