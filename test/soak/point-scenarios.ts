// The commands that are killed at each of their points: what each needs, the call, and what its caller knows afterwards.

import { archive, entry } from '../archive/tar-builder.js';
import { until, type TestDaemon } from '../harness.js';
import { framedCall, type Answer } from './framed-call.js';
import type { Known, KnownContainer } from './known.js';
import { addTo, RUN_SLEEPER, RUN_TALKER, touch } from './workload.js';

/** What a scenario works with. */
export interface Place {
  daemon: TestDaemon;
  known: Known;
}

/** One command; or, without a call, the start of the daemon itself. */
export interface Scenario {
  name: string;
  /** Makes ready. Resolves with the call to be cut. */
  prepare(place: Place): Promise<() => Promise<Answer>>;
  /** what is to be killed at its points is the start of a daemon, after the one before was killed and this was done */
  betweenDaemons?(place: Place): Promise<void>;
}

const RW_CHANGE = ['write', '/data/written'];
let unique = 0;

/** A container with that work, running or not any more. */
async function made(place: Place, kind: KnownContainer['kind'], ...flags: string[]): Promise<KnownContainer> {
  const { daemon, known } = place;
  const words = ['run', ...flags, ...(kind === 'sleeper' ? RUN_SLEEPER : RUN_TALKER)];
  const container = known.addContainer((await framedCall(daemon, words)).stdout.trim(), kind);
  if (kind === 'talker') await daemon.stopped(container.id);
  else await until(async () => (await daemon.call('logs', container.id)).startsWith('up'), 'it is up');
  return container;
}

async function changed(place: Place): Promise<KnownContainer> {
  const container = await made(place, 'talker');
  const [command = '', path = ''] = RW_CHANGE;
  await framedCall(place.daemon, [command, container.id, path], `content ${++unique}`);
  await place.daemon.call('umount', container.id);
  return container;
}

const running = (name: string, kind: KnownContainer['kind'], ...flags: string[]): Scenario => ({
  name,
  prepare: async ({ daemon, known }) => {
    return async () => {
      const answer = await framedCall(daemon, ['run', ...flags, ...(kind === 'sleeper' ? RUN_SLEEPER : RUN_TALKER)]);
      if (answer.status === 0 && !flags.includes('-a')) known.addContainer(answer.stdout.trim(), kind);
      return answer;
    };
  },
});

const touching = (
  name: string,
  prepare: (place: Place) => Promise<KnownContainer>,
  words: (id: string) => string[],
  endsIt = false,
  input = '',
): Scenario => ({
  name,
  prepare: async (place) => {
    const container = await prepare(place);
    return () => touch(container, endsIt, () => framedCall(place.daemon, words(container.id), input));
  },
});

const removing = (name: string, prepare: (place: Place) => Promise<KnownContainer>): Scenario => ({
  name,
  prepare: async (place) => {
    const container = await prepare(place);
    return async () => {
      container.mayBeGone = true;
      const answer = await touch(container, true, () => framedCall(place.daemon, ['rm', container.id]));
      if (answer.status === 0) container.isGone = true;
      return answer;
    };
  },
});

const adding = (name: string, prepare: (place: Place) => Promise<{ words: string[]; input?: Buffer }>): Scenario => ({
  name,
  prepare: async (place) => {
    const { words, input = '' } = await prepare(place);
    return () => addTo(place.known, 'added', () => framedCall(place.daemon, [...words, 'added'], input));
  },
});

const stopped = (place: Place): Promise<KnownContainer> => changed(place);
const sleeping = (place: Place): Promise<KnownContainer> => made(place, 'sleeper');

/** See the head of the file. */
export const SCENARIOS: readonly Scenario[] = [
  running('run', 'sleeper'),
  running('run -a', 'talker', '-a'),
  running('run -t -i', 'sleeper', '-t', '-i'),
  touching('start', stopped, (id) => ['start', id]),
  touching('stop', sleeping, (id) => ['stop', id], true),
  touching(
    'kill',
    (place) => made(place, 'sleeper', '-t'),
    (id) => ['kill', id],
    true,
  ),
  touching('restart', sleeping, (id) => ['restart', id], true),
  removing('rm', stopped),
  removing('rm of what runs', sleeping),
  touching('mount', stopped, (id) => ['mount', id]),
  touching('write', stopped, (id) => ['write', id, '/data/other'], false, 'text'),
  touching('reset', stopped, (id) => ['reset', id]),
  touching(
    'umount',
    async (place) => {
      const container = await stopped(place);
      await place.daemon.call('mount', container.id);
      return container;
    },
    (id) => ['umount', id],
  ),
  touching('tar', stopped, (id) => ['tar', id]),
  adding('commit', async (place) => ({ words: ['commit', (await changed(place)).id] })),
  adding('commit of what runs', async (place) => ({ words: ['commit', (await sleeping(place)).id] })),
  adding('put', async () => ({
    words: ['put'],
    input: archive(entry({ name: 'text', content: `put ${++unique}` }), entry({ name: '.wh.gone' })),
  })),
  adding('cp', async () => ({ words: ['cp', 'base'] })),
  {
    name: 'rmi',
    prepare: async ({ daemon, known }) => {
      const tar = archive(entry({ name: 'text', content: `removed ${++unique}` }), entry({ name: '.wh.gone' }));
      const image = known.nameOf('removed');
      image.versions = [(await framedCall(daemon, ['put', 'removed'], tar)).stdout.trim(), ...image.versions];
      return async () => {
        image.isRemoving = true;
        const answer = await framedCall(daemon, ['rmi', 'removed']);
        if (answer.status === 0) Object.assign(image, { versions: [], isRemoving: false });
        return answer;
      };
    },
  },
  {
    name: 'the start of a daemon',
    prepare: async (place) => {
      await sleeping(place);
      await made(place, 'sleeper', '-t', '-i');
      const { daemon, known } = place;
      const late = ['run', 'base', 'sh', '-c', 'while [ ! -e /data/end ]; do usleep 10000; done; echo begin; exit 3'];
      const { id } = known.addContainer((await framedCall(daemon, late)).stdout.trim(), 'sleeper');
      known.containers.delete(id);
      const mounted = await stopped(place);
      await daemon.call('mount', mounted.id);
      await framedCall(daemon, ['write', id, '/data/end'], 'x');
      return () => Promise.resolve({ status: 0, stdout: '', stderr: '' });
    },
    betweenDaemons: async () => undefined,
  },
];
