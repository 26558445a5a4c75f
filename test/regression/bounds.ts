// The bounds of this folder's tests, in one place. None is a time: they are counts, which are the same on every machine, so a
// change that makes a command dearer fails here where a benchmark would blame the weather.
//
// Each row says what was seen, and that is the bound; for the heap, which is never twice the same, it is that times a slack.
// The tests print what they see in the form of these rows (lines `# seen`, by `test/run.sh regression`): who makes something
// cheaper puts the new row in, so that it stays so. Who makes something dearer on purpose does the same, and says why.

import type { Counts } from './system-calls.js';

/** What was seen of one use of a command, and why it is not less. What is left out has no bound: it is node's own. */
export type CountRow = Partial<Counts> & { why: string };

// prettier-ignore
/** By the name of the scene in counts.daemon.test.ts. */
export const COUNTS: Readonly<Record<string, CountRow>> = {
  'run -a base /bin/true': {
    processes: 2, threads: 0, syncs: 7, mainSyncs: 0, renames: 3, mounts: 2, opens: 46, otherOpens: 5, modules: 0,
    why: 'container/run-begin.ts: lxc-start and the holder of the streams; one mount, one unmount; a new folder with three files, and config.json in three states',
  },
  'run -a base /bin/true on a bridge': {
    processes: 2, threads: 0, syncs: 7, mainSyncs: 0, renames: 4, mounts: 2, opens: 47, otherOpens: 5, modules: 0,
    why: 'container/networking.ts: no program is run for address and interface; network.json is replaced, and not synced',
  },
  'start': {
    processes: 2, threads: 0, syncs: 2, mainSyncs: 0, renames: 1, mounts: 1, opens: 35, otherOpens: 5, modules: 0,
    why: 'container/run-begin.ts: as a run, but the folder is there',
  },
  'stop': {
    processes: 0, threads: 0, syncs: 2, mainSyncs: 0, renames: 1, mounts: 1, opens: 8, otherOpens: 1, modules: 0,
    why: 'container/run-end.ts, conclude: the status in config.json, for good',
  },
  'ps -a': {
    processes: 0, threads: 0, syncs: 0, mainSyncs: 0, renames: 0, mounts: 0, opens: 0, otherOpens: 1, modules: 0,
    why: 'server/look-commands.ts: all is in memory, however many containers there are',
  },
  'images': {
    processes: 0, threads: 0, syncs: 0, mainSyncs: 0, renames: 0, mounts: 0, opens: 0, otherOpens: 1, modules: 0,
    why: 'image/index-store.ts: all is in memory',
  },
  'info': {
    processes: 0, threads: 0, syncs: 0, mainSyncs: 0, renames: 0, mounts: 0, opens: 0, otherOpens: 1, modules: 0,
    why: 'server/look-commands.ts: all is in memory',
  },
  'diff': {
    processes: 0, threads: 0, syncs: 0, mainSyncs: 0, renames: 0, mounts: 0, opens: 4, otherOpens: 1, modules: 0,
    why: 'filesystem/changes.ts: the two folders that have changes, and no layer',
  },
  'put': {
    processes: 0, threads: 0, syncs: 4, mainSyncs: 0, renames: 2, mounts: 0, opens: 6, otherOpens: 1, modules: 0,
    why: 'archive/import-layer.ts: a thread that is there; the layer and its folder, index.json and its folder',
  },
  'commit': {
    processes: 0, threads: 0, syncs: 4, mainSyncs: 0, renames: 2, mounts: 0, opens: 13, otherOpens: 1, modules: 0,
    why: 'image/layer-store.ts: one thread packs, one unpacks, and both are there; then as put',
  },
  'rm': {
    processes: 0, threads: 0, syncs: 1, mainSyncs: 0, renames: 1, mounts: 0, opens: 13, otherOpens: 2, modules: 0,
    why: 'container/container-folder.ts: renamed, so that it is gone at once, then removed',
  },
  'the daemon with 100 containers': {
    processes: 1, syncs: 0, renames: 1, mounts: 2, opens: 440, looks: 427, modules: 263,
    why: 'container/restore.ts: each folder listed once, three files read, and nothing more; the two folders above listed, and lxc-start asked for its version',
  },
  'the client, at version': {
    processes: 0, syncs: 0, renames: 0, mounts: 0, opens: 0, modules: 1,
    why: 'examples/bundle.js: the client loads nothing of the daemon, and comes in one file',
  },
};

/** Bytes on the heap of the main thread for one use of a command: how many are allocated, and how many of them may stay. */
export interface HeapRow {
  /** how often it is done: what node keeps for itself is spread over that */
  times: number;
  /** seen; the bound is that times HEAP_SLACK */
  allocatedBytes: number;
  /** the bound itself: it differs more from run to run */
  mayStayBytes: number;
  why: string;
}

/** By command. */
export const HEAP: Readonly<Record<string, HeapRow>> = {
  'run -a base /bin/true': {
    times: 30,
    allocatedBytes: 680_000,
    mayStayBytes: 15_000,
    why: 'container/container.ts: a container stays in memory, stopped: 7 to 10 KB',
  },
  'ps -a': {
    times: 100,
    allocatedBytes: 130_000,
    mayStayBytes: 3_000,
    why: 'server/look-commands.ts: a table of the 50 containers that the row above made; nothing of it stays',
  },
  images: {
    times: 100,
    allocatedBytes: 38_000,
    mayStayBytes: 3_000,
    why: 'rcli/tcp.ts: mostly the call itself; nothing of it stays',
  },
};
/** Runs differ by 5 in 100, versions of node by 20. */
export const HEAP_SLACK = 1.3;

/**
 * Bytes on the heap for each of many stopped containers, from `few` of them to `many`, after a start. Seen are 100 to 1,050,
 * as node keeps more or less for itself; this is the bound.
 */
export const STOPPED_CONTAINER = {
  few: 200,
  many: 1_200,
  mayStayBytes: 2_000,
  why: 'container/container.ts: what a list needs; the rest is made for the first who asks',
};

/** How many stalls of the daemon's thread while something large is done. */
export const STALLS = 0;
