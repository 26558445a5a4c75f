// What a daemon asks of the kernel while something is done, counted by strace: the same on any machine, however fast.
//
// Only the daemon's own threads count, not the programs that it starts. A count begins and ends while the daemon is quiet
// (all its threads sleep, and have not woken up between two looks), as it finishes some work after the reply.

import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../harness.js';

const PROCESSES = ['clone', 'clone3', 'fork', 'vfork'];
const OPENS = ['open', 'openat', 'openat2', 'creat'];
const SYNCS = ['fsync', 'fdatasync', 'syncfs', 'sync', 'sync_file_range'];
const RENAMES = ['rename', 'renameat', 'renameat2'];
const MOUNTS = ['mount', 'umount2', 'fsmount', 'move_mount', 'open_tree'];
/** What kind of thing a name is, or whether it is there. */
const LOOKS = ['statx', 'newfstatat', 'stat', 'lstat', 'access', 'faccessat', 'faccessat2', 'readlink', 'readlinkat'];
const TRACED = [...PROCESSES, ...OPENS, ...SYNCS, ...RENAMES, ...MOUNTS, ...LOOKS];
/** A call that one kind of machine does not have (`open` on ARM) is no error: `?`. The longest path is 4096 bytes. */
const OPTIONS = ['-f', '-y', '-qq', '-s', '4096', '-e', `trace=${TRACED.map((name) => `?${name}`).join()}`];
/**
 * How often these are opened depends on the machine: on its processes, its cgroup hierarchies, and on how long something
 * that is waited for takes. Node itself asks for the memory, looks for package.json in more or fewer folders, and opens what
 * it runs from in each thread: itself, or the single executable.
 */
const VARYING = /^(\/proc\/(\d+|meminfo|self\/(cgroup|maps))|\/sys\/)|\/package\.json$|\/dist\/tsdock$/;
/** Between two looks at whether the daemon is quiet. */
const LOOK_MS = 25;
/** What it runs as long as a container does. */
const LASTING = ['lxc-start', 'sleep'];

/** How often a daemon did what. */
export interface Counts {
  /** processes started */
  processes: number;
  /** threads started */
  threads: number;
  /** fsync and its like */
  syncs: number;
  /** of these, on the main thread, which then answers nobody */
  mainSyncs: number;
  renames: number;
  /** mounted, moved or unmounted */
  mounts: number;
  /** files and folders opened in the data directory, or tried to */
  opens: number;
  /** names in the data directory that were looked at without being opened */
  looks: number;
  /** elsewhere, but for the program's own files, and those whose number varies with the machine */
  otherOpens: number;
  /** scripts and libraries of the program */
  modules: number;
}

/** One call of one thread, as strace prints it. */
interface SystemCall {
  thread: string;
  name: string;
  args: string;
  result: string;
}

/** The command that runs another one, to be put before it, and writes its calls to a file. The process is the other one's. */
export function straceBefore(file: string): string[] {
  return ['strace', '-D', ...OPTIONS, '-o', file, '--'];
}

/** Counts what the daemon does in `action`, to the end. `file` is for the trace. */
export async function countCalls(
  pid: number,
  directory: string,
  file: string,
  action: () => Promise<void>,
): Promise<Counts> {
  await quiet(pid);
  const threads = [String(pid), ...readdirSync(`/proc/${pid}/task`)];
  const strace = await attach(pid, file);
  try {
    await action();
    await quiet(pid);
  } finally {
    const ended = new Promise((resolve) => strace.once('close', resolve));
    strace.kill('SIGINT');
    await ended;
  }
  try {
    return countsIn(readFileSync(file, 'utf8'), threads, directory);
  } finally {
    rmSync(file);
  }
}

/** Counts in the text of a trace what these threads of a process did, the main one first, and those that they started. */
export function countsIn(trace: string, threads: readonly string[], directory: string): Counts {
  const calls = callsIn(trace);
  const [main] = threads;
  const own = new Set(threads);
  const started = calls.filter(({ thread, name, args, result }) => {
    const isThread = PROCESSES.includes(name) && own.has(thread) && args.includes('CLONE_THREAD');
    if (isThread) own.add(result);
    return isThread;
  });
  const mine = calls.filter(({ thread }) => own.has(thread));
  const numberOf = (names: readonly string[]): number => mine.filter(({ name }) => names.includes(name)).length;
  const kinds = mine.filter(({ name }) => OPENS.includes(name)).map((call) => kindOfFile(call, directory));
  return {
    processes: numberOf(PROCESSES) - started.length,
    threads: started.length,
    syncs: numberOf(SYNCS),
    mainSyncs: mine.filter(({ thread, name }) => thread === main && SYNCS.includes(name)).length,
    renames: numberOf(RENAMES),
    mounts: numberOf(MOUNTS),
    opens: kinds.filter((kind) => kind === 'data').length,
    looks: mine.filter((call) => LOOKS.includes(call.name) && isLookAtData(call, directory)).length,
    otherOpens: kinds.filter((kind) => kind === 'other').length,
    modules: kinds.filter((kind) => kind === 'module').length,
  };
}

/** Resolves once the daemon has nothing to do any more. */
export async function quiet(pid: number): Promise<void> {
  let before = '';
  await until(async () => {
    const now = restingThreads(pid);
    const isQuiet = now !== undefined && now === before;
    before = now ?? '';
    if (!isQuiet) await sleep(LOOK_MS);
    return isQuiet;
  }, `process ${pid} rests`);
}

/** How often each of its threads has gone to sleep; undefined where one runs, or a child of it may have something to say. */
function restingThreads(pid: number): string | undefined {
  try {
    const threads = readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}`);
    const children = threads.flatMap((path) => readFileSync(`${path}/children`, 'latin1').split(' ').filter(Boolean));
    if (!children.every((child) => LASTING.includes(readFileSync(`/proc/${child}/comm`, 'latin1').trim()))) return;
    const states = threads.map((path) => readFileSync(`${path}/status`, 'latin1'));
    if (!states.every((state) => /^State:\tS/m.test(state))) return;
    return states.map((state) => /^voluntary_ctxt_switches:\t\d+/m.exec(state)?.[0]).join();
  } catch {
    return undefined; // a thread or a child has just ended
  }
}

async function attach(pid: number, file: string): Promise<ChildProcess> {
  const options = OPTIONS.filter((option) => option !== '-qq'); // which hides what is waited for
  const strace = spawn('strace', [...options, '-o', file, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  strace.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await until(() => said.includes('attached') || strace.exitCode !== null, 'strace is attached');
  if (strace.exitCode !== null) throw new Error(`Cannot attach strace to process ${pid}: ${said}`);
  return strace;
}

/** The calls of a trace in the order in which they ended: one that another thread interrupted stands on two lines. */
function callsIn(trace: string): SystemCall[] {
  const begun = new Map<string, string>();
  return trace.split('\n').flatMap((line) => {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const unfinished = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    if (unfinished !== null) {
      begun.set(thread, unfinished[1] ?? '');
      return [];
    }
    const whole = rest.replace(/^<\.\.\. \w+ resumed>/, () => begun.get(thread) ?? '');
    const [, name, args = '', result = ''] = /^(\w+)\((.*)\) += (-?\d+(?:<.*>)?)/.exec(whole) ?? [];
    return name === undefined ? [] : [{ thread, name, args, result }];
  });
}

/** What a call opens: in which folder that is where there is one of that name, else its name as it was given. */
function kindOfFile({ args, result }: SystemCall, directory: string): 'data' | 'module' | 'varies' | 'other' {
  const name = /"([^"]*)"/.exec(args)?.[1] ?? '';
  const [, folder = ''] = /^\d+<([^>]*)>/.exec(args) ?? [];
  const [, opened = ''] = /^\d+<([^>]*)>/.exec(result) ?? [];
  if ([name, folder, opened].some((path) => `${path}/`.startsWith(`${directory}/`))) return 'data';
  if (/\.([cm]?js|node)$/.test(name)) return 'module';
  return VARYING.test(name) || name === process.execPath ? 'varies' : 'other';
}

/** A look at what is open already has no name. */
function isLookAtData({ args }: SystemCall, directory: string): boolean {
  const name = /"([^"]*)"/.exec(args)?.[1] ?? '';
  return `${name}/`.startsWith(`${directory}/`);
}
