// Starting a program by posix_spawn(3), for the two that each run of a container needs. node's own `spawn` forks, which
// copies the page tables of the daemon and lets every page that it writes next cost a fault; this borrows the memory until
// the program is executed. The thread that does so stands still meanwhile, so it is one of the pool: on a busy machine it
// takes a while until the new process has its turn.
//
// The rule that must hold: whoever starts a program sees its end by `processExit`, which reaps it.
//
// 2013: container.go, Container.start (exec.Cmd)

import { bind, bindErrno, bindErrnoAsync, hasCode, type NativeArgument } from './libc.js';

/** A program to start. */
export interface SpawnedProgram {
  /** its first is the name, and is looked for along PATH */
  args: readonly string[];
  env: Readonly<Record<string, string>>;
  /** descriptors of ours for its 0, 1 and 2; `ignore` is one that is empty, and takes everything */
  stdio: readonly (number | 'ignore')[];
}

// What <spawn.h> keeps secret takes 80 and 336 bytes of glibc, and less of musl.
const OPAQUE_BYTES = 512;
const SIGNAL_SET_BYTES = 128;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const POSIX_SPAWN_SETSID = 0x80;
const O_RDWR = 2;
const WNOHANG = 1;

const initActions = bindErrno('int posix_spawn_file_actions_init(void *actions)');
const destroyActions = bindErrno('int posix_spawn_file_actions_destroy(void *actions)');
const addDup2 = bindErrno('int posix_spawn_file_actions_adddup2(void *actions, int fd, int newfd)');
const addOpen = bindErrno(
  'int posix_spawn_file_actions_addopen(void *actions, int fd, const char *path, int flags, unsigned int mode)',
);
const addChdir = bindErrno('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)');
const initAttributes = bindErrno('int posix_spawnattr_init(void *attributes)');
const destroyAttributes = bindErrno('int posix_spawnattr_destroy(void *attributes)');
const setFlags = bindErrno('int posix_spawnattr_setflags(void *attributes, short flags)');
const setDefaultSignals = bindErrno('int posix_spawnattr_setsigdefault(void *attributes, void *set)');
const setSignalMask = bindErrno('int posix_spawnattr_setsigmask(void *attributes, void *set)');
const posixSpawn = bindErrnoAsync(
  'int posix_spawnp(void *pid, const char *file, void *actions, void *attributes, const char **argv, const char **envp)',
);
const waitpid = bind('int waitpid(int pid, void *status, int options)');

/** Those that nobody has reaped. */
const children = new Set<number>();

/**
 * Starts a program in a session of its own, at the root directory, with no signal ignored or blocked, and resolves with its
 * pid. The descriptors are the caller's again then. Rejects with SyscallError: ENOENT where there is no such program, E2BIG
 * where its arguments are too long.
 */
export async function spawnProgram({ args, env, stdio }: SpawnedProgram): Promise<number> {
  const [program = ''] = args;
  const [actions, attributes] = [Buffer.alloc(OPAQUE_BYTES), Buffer.alloc(OPAQUE_BYTES)];
  const pid = new Int32Array(1);
  initActions({}, actions);
  try {
    for (const [target, fd] of stdio.entries()) {
      if (fd === 'ignore') addOpen({}, actions, target, '/dev/null', O_RDWR, 0);
      else addDup2({}, actions, fd, target);
    }
    addChdir({}, actions, '/');
    initAttributes({}, attributes);
    try {
      setFlags({}, attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
      setDefaultSignals({}, attributes, Buffer.alloc(SIGNAL_SET_BYTES, 0xff)); // node ignores SIGPIPE
      setSignalMask({}, attributes, Buffer.alloc(SIGNAL_SET_BYTES));
      const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
      await posixSpawn({ path: program }, pid, program, actions, attributes, vector(args), vector(variables));
    } finally {
      destroyAttributes({}, attributes);
    }
  } finally {
    destroyActions({}, actions);
  }
  const [started = 0] = pid;
  children.add(started);
  return started;
}

/** Takes the entry of a program that has ended out of the process table, where this process has started it. */
export function reap(pid: number): void {
  if (!children.delete(pid)) return;
  try {
    waitpid({ path: `process ${pid}` }, pid, null, WNOHANG);
  } catch (error) {
    if (!hasCode(error, 'ECHILD')) throw error; // it is gone already
  }
}

/** As C has it: with nothing at its end. */
function vector(words: readonly string[]): NativeArgument {
  return [...words, null];
}
