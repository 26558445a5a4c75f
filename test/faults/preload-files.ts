// Puts a plan of faults between a daemon and node's file calls: those of `node:fs`, `node:fs/promises` and open handles, and
// the start of processes.
//
// A call inside of another one (node's `writeFileSync` opens the file by `openSync`) is not counted again.

import { ChildProcess } from 'node:child_process';
import * as realFs from 'node:fs';
import { createRequire } from 'node:module';
import { systemError, type CallKind, type PlanMemory } from './plan.js';

type Call = (this: unknown, ...args: unknown[]) => unknown;
type Calls = Record<string, Call>;

/** What a call would do; undefined where it cannot fail by what is planned. */
type Look = (args: readonly unknown[], path: string) => CallKind | undefined;

const { lstatSync, readlinkSync } = realFs;
const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

const opens: Look = ([, flags], path) => {
  const isToWrite = typeof flags === 'string' ? !/^r$|^rs$/.test(flags) : (Number(flags ?? 0) & 0o103) !== 0;
  const isToCreate = typeof flags === 'string' ? /[wa]/.test(flags) : (Number(flags ?? 0) & 0o100) !== 0;
  return openKind(path, isToWrite, isToCreate);
};
const makes: Look = (_, path) => (isThere(path) ? undefined : 'create');
const removes: Look = (_, path) => (isThere(path) ? 'remove' : undefined);
const always =
  (kind: CallKind): Look =>
  () =>
    kind;

/** Node's calls by their names without `Sync`, each with the name of the system call that its error tells. */
const LOOKS: Readonly<Record<string, { syscall: string; look: Look }>> = {
  open: { syscall: 'open', look: opens },
  readFile: { syscall: 'open', look: ([file]) => (typeof file === 'number' ? undefined : 'open') },
  readdir: { syscall: 'scandir', look: always('open') },
  opendir: { syscall: 'opendir', look: always('open') },
  mkdir: { syscall: 'mkdir', look: makes },
  mkdtemp: { syscall: 'mkdtemp', look: always('create') },
  symlink: { syscall: 'symlink', look: always('create') },
  rename: { syscall: 'rename', look: always('rename') },
  rm: { syscall: 'unlink', look: removes },
  unlink: { syscall: 'unlink', look: removes },
  rmdir: { syscall: 'rmdir', look: removes },
  chmod: { syscall: 'chmod', look: always('change') },
  fchmod: { syscall: 'fchmod', look: always('change') },
  utimes: { syscall: 'utime', look: always('change') },
  write: { syscall: 'write', look: always('write') },
  writeFile: { syscall: 'write', look: always('write') },
  copyFile: { syscall: 'copyfile', look: ([, target]) => openKind(String(target), true, true) },
  ftruncate: { syscall: 'ftruncate', look: always('write') },
  fsync: { syscall: 'fsync', look: always('sync') },
};

/** What it is to open `path`. Only what a disk holds is written to it: no FIFO is. */
export function openKind(path: string, isToWrite: boolean, isToCreate: boolean): CallKind {
  if (isToCreate && !isThere(path)) return 'create';
  return isToWrite && isRegular(path) ? 'open to write' : 'open';
}

/** Whether it is a file with content on a disk. */
export function isRegular(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** Where a file is that is named by a path, a descriptor, or a path by way of a descriptor. */
export function pathOf(file: unknown): string {
  if (typeof file === 'number') return linkOf(file);
  const path = file instanceof URL ? file.pathname : Buffer.isBuffer(file) ? file.toString() : String(file);
  return path.replace(/^\/proc\/self\/fd\/(\d+)/, (_, fd: string) => linkOf(Number(fd)));
}

function linkOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '/nowhere'; // it is closed: the call itself will say so
  }
}

/** See the head of the file. */
export function failFileCalls(memory: PlanMemory, folder: string): void {
  const require = createRequire(import.meta.url);
  const fs = require('node:fs') as Calls & { promises: Calls };
  let isInside = false;

  const fault = (name: string, args: readonly unknown[]): NodeJS.ErrnoException | undefined => {
    const known = LOOKS[name];
    if (known === undefined || isInside || !memory.isSet) return undefined;
    const path = pathOf(args[0]);
    const kind = known.look(args, path);
    if (kind === undefined) return undefined;
    const isOnDisk = path.startsWith(folder);
    // To open what is there, or is to be made, takes a descriptor as well.
    const isOpening = typeof args[0] !== 'number' && ['open', 'writeFile', 'copyFile'].includes(name);
    const kinds: CallKind[] = isOpening ? ['open', kind] : [kind];
    for (const each of new Set(kinds)) {
      const code = memory.count(each, isOnDisk, () => `${name} ${path}`);
      const isNamed = typeof args[0] !== 'number' && known.syscall !== 'write';
      if (code !== undefined) return nodeError(code, known.syscall, isNamed ? path : undefined);
    }
    return undefined;
  };

  for (const name of Object.keys(LOOKS)) {
    const sync = fs[`${name}Sync`];
    if (sync !== undefined) {
      fs[`${name}Sync`] = function (...args) {
        const error = fault(name, args);
        const before = isInside;
        isInside = true;
        try {
          // On a full disk there is room for the name of a file, but not for what is in it.
          if (error?.code === 'ENOSPC' && name === 'writeFile') sync.call(this, args[0], '', args[2]);
          if (error !== undefined) throw error;
          return sync.apply(this, args);
        } finally {
          isInside = before;
        }
      };
    }
    const promise = fs.promises[name];
    if (promise !== undefined) {
      fs.promises[name] = function (...args) {
        const error = fault(name, args);
        return error === undefined ? promise.apply(this, args) : Promise.reject(error);
      };
    }
  }
  for (const name of ['fsync', 'write']) {
    const real = fs[name];
    if (real === undefined) continue;
    const failing: Call = function (...args) {
      const error = fault(name, args);
      if (error === undefined) return real.apply(this, args);
      const done = args.at(-1) as (error: Error) => void; // node takes the callback last
      process.nextTick(done, error);
      return undefined;
    };
    fs[name] = Object.defineProperties(failing, Object.getOwnPropertyDescriptors(real)); // with what `promisify` looks for
  }
  failHandles(fs.promises, fault);
  failSpawn(memory);
}

/** The handles of `node:fs/promises` have a class that is not exported. */
function failHandles(promises: Calls, fault: (name: string, args: readonly unknown[]) => Error | undefined): void {
  const open = promises['open'] as typeof realFs.promises.open; // the one that was there
  let isKnown = false;
  promises['open'] = async (...args) => {
    const handle = await open(...(args as Parameters<typeof open>));
    if (isKnown) return handle;
    isKnown = true;
    const prototype = Object.getPrototypeOf(handle) as Record<string, Call>;
    for (const [method, name] of Object.entries({ write: 'write', writeFile: 'write', sync: 'fsync' })) {
      const real = prototype[method];
      if (real === undefined) continue;
      prototype[method] = function (...rest) {
        const error = fault(name, [(this as realFs.promises.FileHandle).fd]);
        return error === undefined ? real.apply(this, rest) : Promise.reject(error);
      };
    }
    return handle;
  };
}

/** A process takes descriptors; node reports that there are none as it reports that there is no such program. */
function failSpawn(memory: PlanMemory): void {
  const prototype = ChildProcess.prototype as unknown as Record<string, Call>; // node's own `spawn` calls it
  const real = prototype['spawn'];
  if (real === undefined) return;
  prototype['spawn'] = function (...args) {
    const [options] = args as [{ file?: string }];
    const code = memory.count('open', false, () => `spawn ${options.file ?? ''}`);
    if (code !== undefined) {
      const { _handle: handle } = this as { _handle: { spawn: () => number } };
      handle.spawn = () => -systemError(code).number;
    }
    return real.apply(this, args);
  };
}

function nodeError(code: string, syscall: string, path: string | undefined): NodeJS.ErrnoException {
  const { number, text } = systemError(code);
  const on = path === undefined ? '' : ` '${path}'`;
  const error = new Error(`${code}: ${text}, ${syscall}${on}`);
  return Object.assign(error, { errno: -number, code, syscall, ...(path === undefined ? {} : { path }) });
}
