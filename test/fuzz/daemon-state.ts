// What a daemon holds of the machine, counted, and whether what it has on disk can be read: what a fuzz round compares with
// how it was before.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cgroupsOf, processesOf, until, type TestDaemon } from '../harness.js';
import { mountPointsBelow } from '../mounts.js';
import { openDescriptors } from '../open-descriptors.js';

/** How long what a round left may take to go, in milliseconds. */
const SETTLE_MS = 60_000;

/** See the head of the file. */
export interface DaemonState {
  descriptors: number;
  children: number;
  mounts: number;
  processes: number;
  cgroups: number;
  /** in the folders of containers and layers, half-made things included */
  files: string[];
}

/** Counts it. `ids` are the containers that there have been. */
export function daemonState(daemon: TestDaemon, ids: readonly string[]): DaemonState {
  const { pid, directory } = daemon;
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    const text = readUnlessGone(`/proc/${pid}/task/${task}/children`);
    return text?.trim().split(' ').filter(Boolean) ?? [];
  });
  const folders = ['containers', 'images/layers', 'images/overlay', '.', 'images'];
  return {
    descriptors: openDescriptors(pid),
    children: children.length,
    mounts: mountPointsBelow(directory, pid).length,
    processes: processesOf(directory).length,
    cgroups: cgroupsOf(ids).length,
    files: folders.flatMap((folder) => namesIn(join(directory, folder)).map((name) => `${folder}/${name}`)).sort(),
  };
}

/** Resolves once nothing is there that was not there `before`. `clean` takes away what a late call may still have made. */
export async function settled(
  daemon: TestDaemon,
  before: DaemonState,
  ids: readonly string[],
  clean: () => Promise<void>,
): Promise<void> {
  let grown: string[] = [];
  const isAsBefore = async (): Promise<boolean> => {
    grown = differences(before, daemonState(daemon, ids));
    if (grown.length > 0) await clean();
    return grown.length === 0;
  };
  await until(isAsBefore, 'the daemon is as before', SETTLE_MS).catch((cause: unknown) => {
    throw new Error(`the daemon has grown: ${grown.join('; ')}`, { cause });
  });
}

function differences(before: DaemonState, now: DaemonState): string[] {
  const counts = ['descriptors', 'children', 'mounts', 'processes', 'cgroups'] as const;
  return [
    ...counts.filter((what) => now[what] > before[what]).map((what) => `${what}: ${before[what]}, then ${now[what]}`),
    ...now.files.filter((name) => !before.files.includes(name)),
  ];
}

/** Fails where a file of the daemon's cannot be read, or an image names a layer that is missing. */
export function checkFiles({ directory }: TestDaemon): void {
  const index = JSON.parse(readFileSync(join(directory, 'images/index.json'), 'utf8')) as {
    ByName: Record<string, { Layers?: string[] }[] | null>; // as the daemon writes it
  };
  const layers = readdirSync(join(directory, 'images/layers'));
  for (const [name, history] of Object.entries(index.ByName)) {
    for (const layer of (history ?? []).flatMap((image) => image.Layers ?? [])) {
      assert.ok(layers.includes(layer.split('/').at(-1) ?? ''), `image ${JSON.stringify(name)} has no layer ${layer}`);
    }
  }
  for (const id of namesIn(join(directory, 'containers'))) {
    for (const file of ['config.json', 'userdata.json']) {
      const text = readUnlessGone(join(directory, 'containers', id, file));
      if (text !== undefined) JSON.parse(text);
    }
  }
}

/** The resident memory of a process, in MiB. */
export function residentMib(pid: number): number {
  return Math.round(Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

function namesIn(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

/** Undefined for what is removed while we look. */
function readUnlessGone(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
