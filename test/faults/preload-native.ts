// Puts a plan of faults between a daemon and the C functions that it calls through koffi.

import koffi from 'koffi';
import { join } from 'node:path';
import { systemError, type CallKind, type PlanMemory } from './plan.js';
import { isRegular, openKind, pathOf } from './preload-files.js';

const AT_FDCWD = -100;
const WRITING = 0o103; // O_WRONLY, O_RDWR, O_CREAT
const O_CREAT = 0o100;

/** What a call is about to do, and to which file. */
interface Look {
  kind: CallKind;
  path: string;
}

type Arguments = readonly unknown[];
type NativeCall = ReturnType<ReturnType<typeof koffi.load>['func']>;

const create = (path: string): Look => ({ kind: 'create', path });
const remove = (path: string): Look => ({ kind: 'remove', path });
const change = (path: string): Look => ({ kind: 'change', path });
const write = (path: string): Look => ({ kind: 'write', path });
/** What goes into a pipe takes no room on a disk. */
const writeToDisk = (path: string): Look | undefined => (isRegular(path) ? write(path) : undefined);
const descriptor: Look = { kind: 'open', path: '' };

/** By the name of the function; those that go through syscall(2) by their numbers. */
const LOOKS: Readonly<Record<string, (args: Arguments) => Look | undefined>> = {
  openat: ([directory, name, flags]) => opened(at(directory, name), Number(flags)),
  'syscall 437': ([, directory, name, how]) => opened(at(directory, name), Number((how as BigInt64Array)[0])), // openat2
  mkdirat: ([directory, name]) => create(at(directory, name)),
  symlinkat: ([, directory, name]) => create(at(directory, name)),
  linkat: ([, , directory, name]) => create(at(directory, name)),
  'syscall 259': ([, directory, name]) => create(at(directory, name)), // mknodat of x86-64
  'syscall 33': ([, directory, name]) => create(at(directory, name)), // mknodat of arm64
  mkfifo: ([path]) => create(pathOf(path)),
  unlinkat: ([directory, name]) => remove(at(directory, name)),
  fchownat: ([directory, name]) => change(at(directory, name)),
  fchmodat: ([directory, name]) => change(at(directory, name)),
  utimensat: ([directory, name]) => change(at(directory, name)),
  fchown: ([fd]) => change(pathOf(fd)),
  fchmod: ([fd]) => change(pathOf(fd)),
  futimens: ([fd]) => change(pathOf(fd)),
  fsetxattr: ([fd]) => write(pathOf(fd)),
  lsetxattr: ([path]) => write(pathOf(path)),
  fallocate: ([fd]) => write(pathOf(fd)),
  splice: ([, , fd]) => writeToDisk(pathOf(fd)),
  syncfs: ([fd]) => ({ kind: 'sync', path: pathOf(fd) }),
  mount: ([, target]) => ({ kind: 'mount', path: String(target) }),
  'syscall 434': () => descriptor, // pidfd_open
  'syscall 438': () => descriptor, // pidfd_getfd
  posix_openpt: () => descriptor,
  socket: () => descriptor,
};

function opened(path: string, flags: number): Look {
  return { kind: openKind(path, (flags & WRITING) !== 0, (flags & O_CREAT) !== 0), path };
}

/** Where a name is that is looked up from an open directory. */
function at(directory: unknown, name: unknown): string {
  const text = Buffer.isBuffer(name) ? name.subarray(0, -1).toString() : String(name);
  return directory === AT_FDCWD ? text : join(pathOf(directory), text);
}

/** See the head of the file. */
export function failNativeCalls(memory: PlanMemory, folder: string): void {
  const { load } = koffi;
  koffi.load = (...args: Parameters<typeof load>) => {
    const library = load(...args);
    return new Proxy(library, {
      get: (target, key) =>
        key === 'func'
          ? (declaration: string) => failing(target.func(declaration))
          : (Reflect.get(target, key) as unknown),
    });
  };

  function fault(name: string, args: Arguments): number | undefined {
    if (!memory.isSet) return undefined;
    const look = LOOKS[name === 'syscall' ? `syscall ${String(args[0])}` : name]?.(args);
    if (look === undefined) return undefined;
    const { kind, path } = look;
    const isOnDisk = path.startsWith(folder);
    const kinds: CallKind[] = /^openat|^syscall 437/.test(name) ? ['open', kind] : [kind];
    for (const each of new Set(kinds)) {
      const code = memory.count(each, isOnDisk, () => `${name} ${path}`);
      if (code !== undefined) return systemError(code).number;
    }
    return undefined;
  }

  function failing(native: NativeCall): NativeCall {
    const { name } = native.info;
    const call = (...args: unknown[]): unknown => {
      const errno = fault(name, args);
      if (errno === undefined) return native(...args) as unknown;
      koffi.errno(errno);
      return -1;
    };
    const async = (...args: unknown[]): void => {
      const errno = fault(name, args);
      if (errno === undefined) return void native.async(...args);
      const done = args.at(-1) as (error: null, result: number) => void; // koffi takes the callback last
      setImmediate(() => {
        koffi.errno(errno);
        done(null, -1);
      });
    };
    return Object.assign(call, { async, info: native.info }) as NativeCall; // all that the daemon uses of it
  }
}
