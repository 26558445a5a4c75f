// System calls that name a file by an open directory and a name below it: no path is looked up twice, and none is
// looked up from the host's root.
//
// The archive room unpacks through these, and whoever opens a path inside a container. A name is given as bytes that
// end in NUL (`nativeName`), because file names are bytes and need not be UTF-8. All calls block.
//
// The rule that must hold: what comes from an archive or a container is looked up by `openInRoot` only; the other calls get
// a directory opened by it and one last component, which none of them follows.
//
// 2013: package syscall

import { constants as fsConstants } from 'node:fs';
import { constants } from 'node:os';
import { arch } from 'node:process';
import { SyscallError, bind, bindUnless, hasCode, type CallFacts } from './libc.js';

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
/** node:fs has no constant for it. */
export const O_CLOEXEC = 0o2000000;
/** Nor for this one: a descriptor that names a file, and opens nothing. */
export const O_PATH = 0o10000000;

const RESOLVE_NO_MAGICLINKS = 0x02n;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
const RESOLVE_IN_ROOT = 0x10n;
const UTIME_OMIT = 0x3ffffffen;
const OPENAT2 = 437; // one number on every architecture
const MKNODAT: Readonly<Record<string, number>> = { x64: 259, ppc64: 288, s390x: 290 };
const MKNODAT_GENERIC = 33; // arm64, riscv64, loong64
// The kernel asks for another try when something was renamed on the machine while it walked over a `..`.
const MAX_OPEN_TRIES = 128;
const SHOWN_NAME_LENGTH = 4096;

const STATX_TYPE = 1;
/** of struct statx, in bytes, and where its mode is, in 16-bit numbers; the same on every architecture */
const STATX_SIZE = 256;
const STATX_MODE_INDEX = 14;

const native = {
  // `syscall` is variadic in C, but takes its arguments in the registers that this declaration says.
  openat2: bind('long syscall(long number, int dirfd, const char *name, void *how, size_t size)'),
  // glibc before 2.33 exports no mknodat.
  mknodat: bind('long syscall(long number, int dirfd, const char *name, unsigned int mode, unsigned int device)'),
  statx: bindUnless(
    ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG'],
    'int statx(int dirfd, const char *name, int flags, unsigned int mask, void *result)',
  ),
  openat: bind('int openat(int dirfd, const char *name, int flags, unsigned int mode)'),
  mkdirat: bind('int mkdirat(int dirfd, const char *name, unsigned int mode)'),
  symlinkat: bind('int symlinkat(const char *target, int dirfd, const char *name)'),
  linkat: bind('int linkat(int from, const char *existing, int to, const char *name, int flags)'),
  unlinkat: bind('int unlinkat(int dirfd, const char *name, int flags)'),
  fchownat: bind('int fchownat(int dirfd, const char *name, unsigned int uid, unsigned int gid, int flags)'),
  fchown: bind('int fchown(int fd, unsigned int uid, unsigned int gid)'),
  fchmodat: bind('int fchmodat(int dirfd, const char *name, unsigned int mode, int flags)'),
  fchmod: bind('int fchmod(int fd, unsigned int mode)'),
  utimensat: bind('int utimensat(int dirfd, const char *name, void *times, int flags)'),
  futimens: bind('int futimens(int fd, void *times)'),
  close: bind('int close(int fd)'),
};

/** The bytes of a name with the NUL that C wants. Throws on a name that holds one: the kernel would see half of it. */
export function nativeName(name: string | Uint8Array): Buffer {
  const bytes = Buffer.from(name);
  if (bytes.includes(0))
    throw new Error(`Invalid file name ${JSON.stringify(bytes.toString())}: it contains a NUL byte`);
  return Buffer.concat([bytes, Buffer.of(0)]);
}

/** A path for what takes no directory: of `name`, which ends in NUL, in the open directory. The path ends without. */
export function pathAt(directory: number, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name.subarray(0, -1)]);
}

/**
 * Opens `name` below the directory `root` as a process would whose root that is: `/` and `..`, in the name and in the
 * symbolic links on its way, cannot leave it. The caller closes the descriptor. Needs Linux 5.6.
 */
export function openInRoot(root: number, name: Buffer, flags: number, mode = 0): number {
  return resolve(root, name, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/** Opens `name` below `directory`; fails where a symbolic link is on the way or at its end. The caller closes the descriptor. */
export function openBeneath(directory: number, name: Buffer, flags: number): number {
  return resolve(directory, name, flags, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/** Opens `name` in the open directory. The caller closes the descriptor, and adds O_NOFOLLOW where a link must not be followed. */
export function openat(directory: number, name: Buffer, flags: number, mode = 0): number {
  return native.openat(new NameFacts(name), directory, name, flags | O_CLOEXEC, mode);
}

export function mkdirat(directory: number, name: Buffer, mode: number): void {
  native.mkdirat(new NameFacts(name), directory, name, mode);
}

/** Makes a device or a fifo; `mode` carries the type (S_IFCHR, S_IFBLK, S_IFIFO). */
export function mknodat(directory: number, name: Buffer, mode: number, major = 0, minor = 0): void {
  const facts = new NameFacts(name);
  // The kernel's device number has 12 bits for the major and 20 for the minor; more would come out as another device.
  if (major > 0xfff || minor > 0xfffff) throw new SyscallError('mknodat', constants.errno.EINVAL, facts);
  const device = ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0;
  const number = MKNODAT[arch] ?? MKNODAT_GENERIC;
  renamed('mknodat', () => native.mknodat(facts, number, directory, name, mode, device));
}

/** The two numbers of a device, as `mknodat` takes them, of the `rdev` that stat tells. */
export function deviceNumbers(rdev: bigint): { major: number; minor: number } {
  return { major: Number((rdev >> 8n) & 0xfffn), minor: Number((rdev & 0xffn) | ((rdev >> 12n) & 0xfff00n)) };
}

/** Makes a symbolic link that holds `target` as it is. */
export function symlinkat(target: Buffer, directory: number, name: Buffer): void {
  native.symlinkat(new NameFacts(name), target, directory, name);
}

/** Gives the file `existing` of one directory a second name in another. A symbolic link is linked itself, not followed. */
export function linkat(from: number, existing: Buffer, to: number, name: Buffer): void {
  native.linkat(new NameFacts(name), from, existing, to, name, 0);
}

/** Takes a name away; a directory wants AT_REMOVEDIR, and to be empty. */
export function unlinkat(directory: number, name: Buffer, flags = 0): void {
  native.unlinkat(new NameFacts(name), directory, name, flags);
}

/** What a name stands for, by its type bits (`S_IFDIR` and the like); undefined where nothing has the name. A link is not followed. */
export function typeAt(directory: number, name: Buffer): number | undefined {
  const facts = new NameFacts(name);
  const result = new Uint16Array(STATX_SIZE / 2);
  if (native.statx(facts, directory, name, AT_SYMLINK_NOFOLLOW, STATX_TYPE, result) === undefined) return undefined;
  return (result[STATX_MODE_INDEX] ?? 0) & fsConstants.S_IFMT;
}

/** Sets the owner of `name` itself, also where it is a symbolic link. */
export function fchownat(directory: number, name: Buffer, uid: number, gid: number): void {
  native.fchownat(new NameFacts(name), directory, name, uid, gid, AT_SYMLINK_NOFOLLOW);
}

export function fchown(fd: number, uid: number, gid: number): void {
  native.fchown({}, fd, uid, gid);
}

/** Sets the mode of `name`. Linux has no mode on symbolic links, and follows them here: for what is known to be none. */
export function fchmodat(directory: number, name: Buffer, mode: number): void {
  native.fchmodat(new NameFacts(name), directory, name, mode, 0);
}

export function fchmod(fd: number, mode: number): void {
  native.fchmod({}, fd, mode);
}

/** Sets when `name` itself was last changed, in nanoseconds since 1970; the time of the last access stays. */
export function utimensat(directory: number, name: Buffer, mtimeNs: bigint): void {
  native.utimensat(new NameFacts(name), directory, name, timespecs(mtimeNs), AT_SYMLINK_NOFOLLOW);
}

/** As `utimensat`, of an open file. */
export function futimens(fd: number, mtimeNs: bigint): void {
  native.futimens({}, fd, timespecs(mtimeNs));
}

/** Closes a descriptor that came from here (node counts its own ones in a worker, and warns of others). */
export function close(fd: number): void {
  native.close({}, fd);
}

function resolve(directory: number, name: Buffer, flags: number, mode: number, rules: bigint): number {
  const how = BigInt64Array.of(BigInt(flags | O_CLOEXEC), BigInt(mode), rules);
  const facts = new NameFacts(name);
  for (let tries = 1; ; tries++) {
    try {
      return renamed('openat2', () => native.openat2(facts, OPENAT2, directory, name, how, how.byteLength));
    } catch (error) {
      if (!hasCode(error, 'EAGAIN') || tries === MAX_OPEN_TRIES) throw error;
    }
  }
}

const NS_A_SECOND = 1_000_000_000n;

function timespecs(mtimeNs: bigint): BigInt64Array {
  const nanoseconds = ((mtimeNs % NS_A_SECOND) + NS_A_SECOND) % NS_A_SECOND; // also before 1970 it counts upwards
  return BigInt64Array.of(0n, UTIME_OMIT, (mtimeNs - nanoseconds) / NS_A_SECOND, nanoseconds);
}

// Decodes the name only when a call failed: thousands do not. Of a name of 10,000 folders a message wants the beginning.
class NameFacts implements CallFacts {
  readonly #name: Buffer;

  constructor(name: Buffer) {
    this.#name = name;
  }

  get path(): string {
    const length = this.#name.length - 1;
    const shown = this.#name.toString('utf8', 0, Math.min(length, SHOWN_NAME_LENGTH));
    return length > SHOWN_NAME_LENGTH ? `${shown}…` : shown;
  }
}

// What goes through syscall(2) fails under the name of the call that was meant.
function renamed(name: string, call: () => number): number {
  try {
    return call();
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    const errno = Object.entries(constants.errno).find(([code]) => code === error.code)?.[1] ?? 0;
    throw new SyscallError(name, errno, error.path === undefined ? {} : { path: error.path });
  }
}
