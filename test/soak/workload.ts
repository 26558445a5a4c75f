// What the callers of the kill test do all the time: containers come, run, stop and go, images too, several at once.
//
// Containers are everybody's, so that calls meet on one; each caller has its own names of images.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { archive, entry } from '../archive/tar-builder.js';
import type { Random } from '../fuzz/random.js';
import type { TestDaemon } from '../harness.js';
import { framedCall, type Answer } from './framed-call.js';
import type { Known, KnownContainer } from './known.js';

/** How many lines a talker prints, and the status that it ends with. */
export const LINES = 40;
export const TALKER_STATUS = 3;
const TALK = `echo begin; i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo line $i; done; echo end; exit ${TALKER_STATUS}`;
/** More would only make each restart slower. */
const MOST_CONTAINERS = 10;
/** Ends at SIGTERM, so that a stop is quick. */
const SLEEP = 'trap "exit 0" TERM; echo up; while :; do usleep 20000; done';

/** The end of a `run`: what a container of each kind runs. */
export const RUN_TALKER = ['base', 'sh', '-c', TALK];
export const RUN_SLEEPER = ['base', 'sh', '-c', SLEEP];

/** What the callers work with. */
export interface Workplace {
  readonly daemon: TestDaemon;
  readonly known: Known;
  /** where `pull` finds an archive */
  readonly url: string;
  /** whether containers are on a bridge */
  readonly hasNetwork: boolean;
}

type Action = (caller: Caller) => Promise<void>;

/** One caller: a name of its own, and its own choices. */
export class Caller {
  #count = 0;

  constructor(
    readonly place: Workplace,
    readonly name: string,
    readonly random: Random,
  ) {}

  /** Does the next thing. Resolves when it is over, or the daemon gone. */
  async act(): Promise<void> {
    const { containers } = this.place.known;
    const there = [...containers.values()].filter(({ mayBeGone }) => !mayBeGone);
    if (there.length === 0) return run(this);
    await this.random.pick(there.length >= MOST_CONTAINERS ? FULL : ACTIONS)(this);
  }

  call(...words: string[]): Promise<Answer> {
    return framedCall(this.place.daemon, words);
  }

  /** A container that nobody has asked to remove. */
  anyContainer(): KnownContainer | undefined {
    const there = [...this.place.known.containers.values()].filter(({ mayBeGone }) => !mayBeGone);
    return there.length === 0 ? undefined : this.random.pick(there);
  }

  /** One of this caller's three names. */
  anyName(): string {
    return `${this.name}${this.random.below(3)}`;
  }

  /** What nobody else has in an image. */
  unique(): string {
    return `${this.name}-${++this.#count}-${this.random.seed}`;
  }
}

/** Serves archives, each time another one, on all addresses. */
export async function serveArchives(): Promise<{ server: Server; port: number }> {
  let count = 0;
  const server = createServer((_, response) => void response.end(layerTar(`pulled ${++count}`)));
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return { server, port: (server.address() as AddressInfo).port }; // it listens on a port
}

function layerTar(text: string): Buffer {
  const big = Buffer.alloc(300_000, text);
  return archive(
    entry({ name: 'text', content: text }),
    entry({ name: 'big', content: big }),
    entry({ name: '.wh.gone' }),
  );
}

async function run(caller: Caller): Promise<void> {
  const { known, hasNetwork } = caller.place;
  const { random } = caller;
  const kind = random.once(2) ? 'sleeper' : 'talker';
  const flags = [
    ...(random.once(3) ? ['-t'] : []),
    ...(random.once(4) ? ['-i'] : []),
    ...(kind === 'talker' && random.once(3) ? ['-a'] : []),
    ...(hasNetwork && random.once(3) ? ['-p', '80'] : []),
  ];
  const { status, stdout } = await caller.call('run', ...flags, ...(kind === 'sleeper' ? RUN_SLEEPER : RUN_TALKER));
  if (flags.includes('-a') || status !== 0) return;
  known.addContainer(stdout.trim(), kind);
}

/** A call about one container, which may end or start it. */
export async function touch(container: KnownContainer, endsIt: boolean, call: () => Promise<Answer>): Promise<Answer> {
  container.underWay++;
  if (endsIt) container.wasEnded = true;
  const answer = await call();
  // What was cut is still open: the engine settles it after the restart.
  if (answer.status !== undefined) container.underWay--;
  return answer;
}

const changing =
  (endsIt: boolean, ...words: string[]): Action =>
  async (caller) => {
    const container = caller.anyContainer();
    if (container !== undefined) await touch(container, endsIt, () => caller.call(...words, container.id));
  };

const looking =
  (words: (id: string) => string[]): Action =>
  async (caller) => {
    const container = caller.anyContainer();
    if (container !== undefined) await caller.call(...words(container.id));
  };

async function remove(caller: Caller): Promise<void> {
  const container = caller.anyContainer();
  if (container === undefined) return;
  container.mayBeGone = true;
  const { status } = await touch(container, true, () => caller.call('rm', '-f', container.id));
  if (status === 0) container.isGone = true;
}

async function write(caller: Caller): Promise<void> {
  const { daemon } = caller.place;
  const container = caller.anyContainer();
  if (container !== undefined)
    await framedCall(daemon, ['write', container.id, `/data/${caller.name}`], 'x'.repeat(5000));
}

/** As `addTo`, to a name of the caller's. */
async function add(caller: Caller, words: (name: string) => string[], input: Buffer | string = ''): Promise<void> {
  const { daemon, known } = caller.place;
  const name = caller.anyName();
  await addTo(known, name, () => framedCall(daemon, words(name), input));
}

/** A call that adds a version to that name, and prints its id. */
export async function addTo(known: Known, name: string, call: () => Promise<Answer>): Promise<Answer> {
  const image = known.nameOf(name);
  image.isAdding = true;
  const answer = await call();
  if (answer.status === undefined) return answer;
  image.isAdding = false;
  const id = answer.stdout.trim();
  if (answer.status === 0 && image.versions[0] !== id) image.versions.unshift(id);
  return answer;
}

const put: Action = (caller) => add(caller, (name) => ['put', name], layerTar(caller.unique()));
const cp: Action = (caller) => add(caller, (name) => ['cp', 'base', name]);

async function pull(caller: Caller): Promise<void> {
  const { url, known } = caller.place;
  const name = `${url}/${caller.anyName()}`;
  await addTo(known, name, () => caller.call('pull', name));
}

async function commit(caller: Caller): Promise<void> {
  const container = caller.anyContainer();
  if (container !== undefined) await add(caller, (name) => ['commit', container.id, name]);
}

async function rmi(caller: Caller): Promise<void> {
  const { known } = caller.place;
  const name = caller.anyName();
  const image = known.nameOf(name);
  image.isRemoving = true;
  const { status } = await caller.call('rmi', name);
  if (status === undefined) return;
  image.isRemoving = false;
  if (status === 0) image.versions = [];
}

const start = changing(false, 'start');
const stop = changing(true, 'stop', '-t', '1');
const kill = changing(true, 'kill');
const restart = changing(true, 'restart', '-t', '1');
const reset = looking((id) => ['reset', id]);
const mount = looking((id) => ['mount', id]);
const umount = looking((id) => ['umount', id]);
const tar = looking((id) => ['tar', id]);
const diff = looking((id) => ['diff', id]);
const logs = looking((id) => ['logs', id]);
const OTHERS = [
  put, put, cp, rmi, pull, commit, commit, start, start, stop, kill, restart, reset, mount, mount, umount, tar, diff, logs, write, write,
]; // prettier-ignore
const ACTIONS: readonly Action[] = [...OTHERS, run, run, run, run, run, remove, remove];
const FULL: readonly Action[] = [...OTHERS, remove, remove, remove];
