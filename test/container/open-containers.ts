// Containers without a daemon around them: what a daemon opens, opened by the test's own process.

import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { Container } from '../../src/container/container.js';
import { DEFAULT_MODE } from '../../src/container/network-mode.js';
import { Docker } from '../../src/container/docker.js';
import { pickDriver } from '../../src/filesystem/pick-driver.js';
import { Store } from '../../src/image/store.js';
import { NO_BRIDGE } from '../../src/network/bridge.js';
import { NetworkManager } from '../../src/network/network-manager.js';
import { Poller } from '../../src/linux/poller.js';
import { readLxcMachine } from '../../src/lxc/lxc-config.js';
import { placeSeccompProfile } from '../../src/lxc/seccomp-profile.js';
import { lxcVersion } from '../../src/lxc/lxc-start.js';
import { DamageReport } from '../../src/util/damage-report.js';
import { fixtureTar } from '../fixture.js';

/** See the head of the file. `close` leaves containers as they are. */
export interface OpenContainers {
  containers: Docker;
  /** what would be done at the end of the process */
  atExit: Set<() => void>;
  /** Makes a container of the test image. */
  create(...command: string[]): Promise<Container>;
  /** Makes one and starts it. */
  run(...command: string[]): Promise<Container>;
  close(): Promise<void>;
}

/** Opens the containers of a data directory, and imports the test image where it is missing. Without a bridge, but for `manager`. */
export async function openContainers(directory: string, manager?: NetworkManager): Promise<OpenContainers> {
  const driver = await pickDriver(directory, undefined, () => undefined);
  const images = await Store.open(join(directory, 'images'));
  const image = images.index.find('base') ?? (await images.import('base', Readable.from([fixtureTar()])));
  const poller = new Poller();
  const atExit = new Set<() => void>();
  const containers = await Docker.open({
    containersPath: join(directory, 'containers'),
    layersPath: images.layers.path,
    driver,
    lxc: readLxcMachine(await lxcVersion(), await placeSeccompProfile(directory, () => undefined)),
    network:
      manager ?? (await NetworkManager.open({ bridge: NO_BRIDGE, bip: '', recordPath: '', log: () => undefined })),
    poller,
    logMaxBytes: 0,
    atExit,
    damage: new DamageReport(),
    layersOf: () => undefined,
    log: () => undefined,
  });
  const create = (path = '', ...args: string[]): Promise<Container> => {
    const config = {
      user: '',
      ramBytes: 0,
      ports: [],
      hasTty: false,
      isStdinOpen: false,
      term: 'dumb',
      mode: DEFAULT_MODE,
    };
    return containers.create({ path, args, layers: image.layers, config, userData: {} });
  };
  return {
    containers,
    atExit,
    create,
    run: async (...command) => {
      const container = await create(...command);
      await container.start();
      return container;
    },
    close: () => poller.close(),
  };
}
