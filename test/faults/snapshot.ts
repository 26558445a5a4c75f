// What a daemon has: on disk, in its memory and on the machine, as lines that two moments can be compared by. Ids, times and
// pids, which no two moments share, are not in it; a container is known by its place among all, oldest first.
//
// What is half-made is not in it either: `temporaries` lists that.

import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FORM_FILE, NEXT } from '../../src/filesystem/rw.js';
import { cgroupsOf, mountsBelow, processesOf, type TestDaemon } from '../harness.js';

/** Names of what is half-made, at any place that is the daemon's own. */
const HALF_MADE = /^(\.tmp-|rw\.next$|vfs\.manifest\.next$)/;
/** Folders whose content is a container's or a layer's. */
const FOREIGN = /\/(layers|overlay)\/[^/]+\/|\/containers\/[^/]+\/(rw|rootfs|work)\//;

interface Index {
  ByName: Record<string, { Id: string; Layers: string[] }[]>;
}

interface ContainerFile {
  Created: string;
  Path: string;
  Args: string[];
  State: { Running: boolean; ExitCode: number; Signal: number; StartedAt: string };
  Filesystem: { Layers: string[] };
}

/** How often a look is begun again, since what it looked at has gone meanwhile. */
const MAX_LOOKS = 20;

/** See the head of the file. */
export async function takeSnapshot(daemon: TestDaemon): Promise<string[]> {
  for (let looks = 1; ; looks++) {
    try {
      return await look(daemon);
    } catch (error) {
      if (looks === MAX_LOOKS) throw error;
    }
  }
}

async function look(daemon: TestDaemon): Promise<string[]> {
  const { directory } = daemon;
  const images = join(directory, 'images');
  const index = readJson(join(images, 'index.json')) as Index;
  const versions = Object.entries(index.ByName).flatMap(([name, history]) =>
    history.map(({ Id, Layers }) => `image ${name}: ${Id} of ${Layers.map((layer) => basename(layer)).join(' ')}`),
  );
  const { ids, files } = containersIn(directory);
  const layers = [...usedLayers(directory)].map((id) => `layer ${id}: ${digest(join(images, 'layers', id))}`);
  const created = (id: string): number => Date.parse(files.get(id)?.Created ?? ''); // as text, .12 would come after .123
  const ordered = ids.sort((a, b) => created(a) - created(b));
  const named = (text: string): string =>
    ordered.reduce((line, id, number) => line.replaceAll(id, `#${number}`), text.replaceAll(directory, ''));
  const containers = ordered.flatMap((id) => containerLines(join(directory, 'containers', id), files.get(id)));
  const stopped = ordered.filter((id) => files.get(id)?.State.Running !== true);
  return [
    ...versions,
    ...layers,
    ...containers,
    ...(await memoryLines(daemon)),
    ...mountsBelow(directory),
    ...processLines(directory),
    ...cgroupsOf(stopped),
  ]
    .map(named)
    .sort();
}

/** The processes of containers. What LXC forks to become a container's init has LXC's own command line for a moment: once. */
function processLines(directory: string): string[] {
  const lines = processesOf(directory).map((line) =>
    line.replace(/^process \d+ (\S+)(?:.*?( -n \S+))?.*$/, 'process $1$2'),
  );
  return lines.filter((line, at) => !line.includes(' -n ') || lines.indexOf(line) === at);
}

/** Whether the daemon has put on disk what it knows of the state of each container. */
export function isSaved(snapshot: readonly string[]): boolean {
  const states = (where: string): string[] =>
    snapshot.flatMap(
      (line) => new RegExp(`^container (\\S+) ${where}: (.*?): (\\w+ -?\\d+ \\d+)`).exec(line)?.slice(1).join() ?? [],
    );
  return states('on disk').join('\n') === states('in memory').join('\n');
}

/** What is half-made in a data directory, and the layers that nothing uses. */
export function temporaries(directory: string): string[] {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const used = usedLayers(directory);
  const unused = namesIn(join(directory, 'images/layers')).filter((id) => !used.has(id));
  const known = containersIn(directory).files;
  const unfinished = namesIn(join(directory, 'containers')).filter((id) => !known.has(id));
  const halfMade = paths.filter((path) => HALF_MADE.test(basename(path)) && !FOREIGN.test(`/${path}`));
  return [...halfMade, ...unused, ...unfinished];
}

/** The containers on disk; without those that never began to run: nobody knows them, and the next start removes them. */
function containersIn(directory: string): { ids: string[]; files: Map<string, ContainerFile> } {
  const files = new Map<string, ContainerFile>();
  for (const id of namesIn(join(directory, 'containers'))) {
    const file = readJson(join(directory, 'containers', id, 'config.json')) as ContainerFile;
    if (!file.State.StartedAt.startsWith('0001-')) files.set(id, file);
  }
  return { ids: [...files.keys()], files };
}

/** The ids of the layers that an image or a container on disk has. */
function usedLayers(directory: string): Set<string> {
  const index = readJson(join(directory, 'images/index.json')) as Index;
  const containers = [...containersIn(directory).files.values()];
  const ofImages = Object.values(index.ByName).flatMap((history) => history.flatMap(({ Layers }) => Layers));
  const paths = [...ofImages, ...containers.flatMap(({ Filesystem }) => Filesystem.Layers)];
  return new Set(paths.map((path) => basename(path)));
}

function containerLines(root: string, json: unknown): string[] {
  const { Path, Args, State } = json as ContainerFile;
  const { Running, ExitCode, Signal } = State;
  const user = JSON.stringify(readJson(join(root, 'userdata.json')));
  const of = `container ${basename(root)}`;
  const rw = rwOf(root);
  return [
    `${of} on disk: ${[Path, ...Args].join(' ')}: ${String(Running)} ${ExitCode} ${Signal} ${user}`,
    ...(lstatSync(rw, { throwIfNoEntry: false }) === undefined ? [] : listing(rw).map((line) => `${of} rw ${line}`)),
  ];
}

/** The folder that counts as rw: the one that is to take its place does so once the file beside both names it. */
function rwOf(root: string): string {
  const form = join(root, FORM_FILE);
  const next = join(root, NEXT);
  const isNamed = existsSync(form) && readFileSync(form, 'utf8').includes(`\n${NEXT}\n`);
  return isNamed && existsSync(next) ? next : join(root, 'rw');
}

async function memoryLines(daemon: TestDaemon): Promise<string[]> {
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  const containers = await Promise.all(
    ids.map(async (id) => {
      const text = await daemon.call('inspect', id);
      const { Path, Args, State } = JSON.parse(text) as ContainerFile;
      const { Running, ExitCode, Signal } = State;
      return `container ${id} in memory: ${[Path, ...Args].join(' ')}: ${String(Running)} ${ExitCode} ${Signal}`;
    }),
  );
  const images = (await daemon.call('images', '-q')).split('\n').filter(Boolean);
  return [...containers, ...images.map((id) => `image in memory: ${id}`)];
}

/** The names in a folder but those of what is half-made. */
function namesIn(folder: string): string[] {
  return readdirSync(folder).filter((name) => !HALF_MADE.test(name));
}

function digest(folder: string): string {
  return createHash('sha256').update(listing(folder).join('\n')).digest('hex').slice(0, 16);
}

/** A line for each name in a tree: what it is, and what is in it. */
function listing(root: string): string[] {
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' }).sort();
  return ['', ...paths].map((path) => {
    const full = join(root, path);
    const stat = lstatSync(full);
    const what = stat.isFile()
      ? createHash('sha256').update(readFileSync(full)).digest('hex').slice(0, 16)
      : stat.isSymbolicLink()
        ? readlinkSync(full)
        : '';
    return `/${path} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${what}`;
  });
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(path, 'utf8'));
}
