// What must be true of a data directory and of the machine after each restart of a killed daemon. Each check gives a line for
// each thing that is wrong.

import { existsSync, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../../src/util/errors.js';
import { cgroupsOf, mountsBelow, processesOf, type TestDaemon, type TestNetwork } from '../harness.js';
import type { Known } from './known.js';
import { LINES, TALKER_STATUS } from './workload.js';

/** The machine that the daemon is on, where it is one of its own (TestMachine). */
export interface CheckedMachine extends TestNetwork {
  links(): Promise<string[]>;
  chains(): Promise<string[]>;
}

/** What a daemon says of one container, and what its folder does. */
interface Found {
  id: string;
  isRunning: boolean;
  exitCode: number;
  pid: number;
  address: string;
}

/** How long what is on its way may take until all is right, in milliseconds. */
const SETTLE_MS = 20_000;
const ROOT_NAMES = /^(tsdock\.lock|images|containers|network\.json|lxc\.seccomp)$/;
const IMAGES_NAMES = /^(index\.json|layers|overlay)$/;
const CONTAINER_NAMES =
  /^(config\.json|userdata\.json|config\.lxc|lxc\.log|\w+-(stdout|stderr|order)\.log|rootfs|rw|rw\.driver|work|vfs\.manifest|hosts|hostname|resolv\.conf|network\.json)$/;
const RUNNING_NAMES = /^(stdin|stdout|stderr|signal)$/;

/** All that is wrong, and stays so: what is on its way may take a moment. */
export async function settledProblems(daemon: TestDaemon, known: Known, machine?: CheckedMachine): Promise<string[]> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const problems = await problemsOf(daemon, known, machine);
    if (problems.length === 0 || performance.now() > deadline) {
      settleNames(daemon.directory, known); // not before: the next look would find nothing wrong
      return problems;
    }
    await sleep(50);
  }
}

/** All that is wrong now. What is on its way (a container that has just ended) may be right a moment later. */
async function problemsOf(daemon: TestDaemon, known: Known, machine?: CheckedMachine): Promise<string[]> {
  const { directory } = daemon;
  const ids = (await daemon.call('ps', '-a', '-q')).split('\n').filter(Boolean);
  for (const id of ids) known.ids.add(id);
  const found = await Promise.all(ids.map((id) => look(daemon, id)));
  return [
    ...checkIds(ids, known),
    ...checkImages(directory, found, known),
    ...found.flatMap((container) => checkFolder(directory, container)),
    ...namesIn(directory).filter((name) => !ROOT_NAMES.test(name)).map((name) => `left behind: ${name}`),
    ...namesIn(join(directory, 'images')).filter((name) => !IMAGES_NAMES.test(name)).map((name) => `left behind: images/${name}`),
    ...namesIn(join(directory, 'containers')).filter((name) => !ids.includes(name)).map((name) => `left behind: containers/${name}`),
    ...checkMounts(machine?.mountsBelow?.(directory) ?? mountsBelow(directory), found),
    ...checkProcesses(directory, found),
    ...checkCgroups(known, found),
    ...(machine === undefined ? [] : await checkNetwork(machine, found)),
    ...(await checkLogs(daemon, known, found)),
  ]; // prettier-ignore
}

async function look(daemon: TestDaemon, id: string): Promise<Found> {
  const text = await daemon.call('inspect', id);
  const { State, NetworkSettings } = JSON.parse(text) as {
    State: { Running: boolean; ExitCode: number; Pid: number };
    NetworkSettings: { IpAddress: string };
  }; // as `inspect` prints it
  return { id, isRunning: State.Running, exitCode: State.ExitCode, pid: State.Pid, address: NetworkSettings.IpAddress };
}

function checkIds(ids: readonly string[], known: Known): string[] {
  const problems = new Set(ids).size < ids.length ? ['an id is there twice'] : [];
  for (const { id, isGone, mayBeGone } of known.containers.values()) {
    if (isGone && ids.includes(id)) problems.push(`container ${id} is there again`);
    if (!mayBeGone && !ids.includes(id)) problems.push(`container ${id} is lost`);
  }
  return problems;
}

function checkImages(directory: string, found: readonly Found[], known: Known): string[] {
  const index = readIndex(directory);
  const problems: string[] = [];
  const images = Object.values(index.ByName).flat();
  const wanted = new Set(images.flatMap(({ Layers }) => Layers));
  for (const { id } of found) {
    const { Filesystem } = readJson(join(directory, 'containers', id, 'config.json')) as {
      Filesystem: { Layers: string[] };
    }; // as above
    for (const layer of Filesystem.Layers) wanted.add(layer);
  }
  for (const layer of wanted) if (!existsSync(layer)) problems.push(`layer ${layer} is missing`);
  const layers = namesIn(join(directory, 'images/layers'));
  const used = [...wanted].map((layer) => basename(layer));
  for (const name of layers) if (!used.includes(name)) problems.push(`layer ${name} is nobody's`);
  for (const name of namesIn(join(directory, 'images/overlay'))) {
    if (!layers.includes(name)) problems.push(`images/overlay/${name} has no layer`);
  }
  if (new Set(images.map(({ Id }) => Id)).size !== Object.keys(index.ById).length)
    problems.push('ById and ByName differ');
  for (const name of known.names.keys()) {
    const problem = known.nameProblem(name, idsOf(index, name));
    if (problem !== undefined) problems.push(problem);
  }
  return problems;
}

interface IndexFile {
  ByName: Record<string, { Id: string; Layers: string[] }[]>;
  ById: Record<string, unknown>;
}

/** What this daemon has just written. */
function readIndex(directory: string): IndexFile {
  return readJson(join(directory, 'images/index.json')) as IndexFile; // or the checks fail
}

function idsOf(index: IndexFile, name: string): string[] {
  return (index.ByName[name] ?? []).map(({ Id }) => Id);
}

/** What was under way is decided now. */
function settleNames(directory: string, known: Known): void {
  const index = readIndex(directory);
  for (const name of known.names.keys()) known.settleName(name, idsOf(index, name));
}

function checkFolder(directory: string, { id, isRunning, exitCode }: Found): string[] {
  const root = join(directory, 'containers', id);
  const problems = namesIn(root)
    .filter((name) => !CONTAINER_NAMES.test(name) && !(isRunning && RUNNING_NAMES.test(name)))
    .map((name) => `left behind: containers/${id}/${name}`);
  readJson(join(root, 'userdata.json'));
  const { State } = readJson(join(root, 'config.json')) as { State: { Running: boolean; StartedAt: string } }; // as above
  if (State.Running !== isRunning) problems.push(`config.json of ${id} says that it runs: ${String(State.Running)}`);
  if (State.StartedAt.startsWith('0001')) problems.push(`container ${id} has never run`);
  if (existsSync(join(root, 'network.json'))) readJson(join(root, 'network.json'));
  if (!isRunning && ![0, TALKER_STATUS, -1].includes(exitCode)) problems.push(`container ${id} ended with ${exitCode}`);
  return problems;
}

function checkMounts(mounts: readonly string[], found: readonly Found[]): string[] {
  const wanted = found.filter(({ isRunning }) => isRunning).map(({ id }) => `/containers/${id}/rootfs`);
  const isWanted = (mount: string): boolean => wanted.some((path) => mount.endsWith(path));
  return mounts.filter((mount) => !isWanted(mount)).map((mount) => `${mount} is nobody's`);
}

function checkProcesses(directory: string, found: readonly Found[]): string[] {
  const running = new Map(found.filter(({ isRunning }) => isRunning).map(({ id, pid }) => [id, pid]));
  const holders = new Map<string, number>();
  const problems = processesOf(directory).flatMap((line) => {
    const [, pid = ''] = line.split(' ');
    if (line.includes('sleep infinity')) {
      const id = basename(join(linkOf(`/proc/${pid}/fd/1`), '..'));
      holders.set(id, (holders.get(id) ?? 0) + 1);
      return running.has(id) ? [] : [`holder ${pid} of ${id} is left`];
    }
    const [, id = ''] = / -n (\w+) /.exec(line) ?? [];
    return running.has(id) ? [] : [`${line} is left`];
  });
  for (const [id, pid] of running) {
    if (!existsSync(`/proc/${pid}`)) problems.push(`container ${id} runs as ${pid}, which is not there`);
    if (holders.get(id) !== 1) problems.push(`container ${id} has ${holders.get(id) ?? 0} holders`);
  }
  return problems;
}

function checkCgroups(known: Known, found: readonly Found[]): string[] {
  const running = found.filter(({ isRunning }) => isRunning).map(({ id }) => id);
  const stopped = [...known.ids].filter((id) => !running.includes(id));
  return cgroupsOf(stopped).map((group) => `${group} is left`);
}

async function checkNetwork(machine: CheckedMachine, found: readonly Found[]): Promise<string[]> {
  const running = found.filter(({ isRunning }) => isRunning);
  const addresses = running.map(({ address }) => address).filter((address) => address !== '');
  const problems = new Set(addresses).size < addresses.length ? [`an address is there twice: ${addresses.join()}`] : [];
  if (addresses.length < running.length) problems.push('a running container has no address');
  for (const link of await machine.links()) {
    const [, id] = /^veth([0-9a-f]{8})$/.exec(link) ?? [];
    if (id !== undefined && !running.some((container) => container.id === id))
      problems.push(`interface ${link} is left`);
  }
  for (const line of await machine.chains()) {
    const [, address] = /--to-destination ([\d.]+):/.exec(line) ?? [];
    if (address !== undefined && !addresses.includes(address)) problems.push(`a rule is left: ${line}`);
  }
  return problems;
}

/** Each run of a talker has every line once; one that was ended has the first of them. */
async function checkLogs(daemon: TestDaemon, known: Known, found: readonly Found[]): Promise<string[]> {
  const problems: string[] = [];
  for (const { id, isRunning, exitCode } of found) {
    const container = known.containers.get(id);
    if (container?.kind !== 'talker' || container.mayBeGone) continue;
    const runs = (await daemon.call('logs', id)).replaceAll('\r\n', '\n').split(/^begin\n/m).slice(1); // prettier-ignore
    const whole = `${Array.from({ length: LINES }, (_, i) => `line ${i + 1}\n`).join('')}end\n`;
    const mayBePartial = container.wasEnded || container.underWay > 0;
    for (const [index, text] of runs.entries()) {
      const isRight =
        text === whole || ((mayBePartial || (isRunning && index === runs.length - 1)) && whole.startsWith(text));
      if (!isRight) problems.push(`run ${index + 1} of ${id} has in its log: ${JSON.stringify(text)}`);
    }
    if (!isRunning && !container.wasEnded && exitCode !== TALKER_STATUS)
      problems.push(`talker ${id} ended with ${exitCode}`);
    if (!isRunning && !container.wasEnded && runs.length === 0) problems.push(`talker ${id} has no log`);
  }
  return problems;
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new Error(`Cannot read ${path}: ${errorMessage(error)}`, { cause: error });
  }
}

function namesIn(folder: string): string[] {
  return lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(folder) : [];
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ''; // it has ended
  }
}
