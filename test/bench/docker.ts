// Docker, to compare with: a daemon of its own, as peer-docker.sh starts it, with its default bridge, and the image `base`
// in it that our own daemon has.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fixtureTar } from '../fixture.js';
import { callPeer, isInstalled, PeerNamespaces, type Command, type Peer } from './peer.js';

/** See the head of the file. */
export class BenchDocker implements Peer {
  readonly name = 'docker';
  version = '';
  readonly #namespaces: PeerNamespaces;

  private constructor(namespaces: PeerNamespaces) {
    this.#namespaces = namespaces;
  }

  /** Undefined where docker is not installed. Rejects where it is, and does not start. With `isRestarted`: see peer-docker.sh. */
  static async start({ isRestarted = false } = {}): Promise<BenchDocker | undefined> {
    if (!isInstalled('dockerd') || !isInstalled('docker')) return undefined;
    const args = isRestarted ? ['restarted'] : [];
    const docker = new BenchDocker(await PeerNamespaces.start('docker', 'peer-docker.sh', args));
    try {
      await docker.listening();
      await callPeer(docker, ['import', '-', 'base'], fixtureTar());
      const runtime = execFileSync('runc', ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? '';
      const server = await callPeer(docker, ['version', '--format', '{{.Server.Version}}']);
      docker.version = `docker ${server.trim()} with ${runtime.replace(' version', '')}`;
    } catch (error) {
      await docker.close();
      throw new Error('Cannot start dockerd', { cause: error });
    }
    return docker;
  }

  get enter(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.#namespaces.pid}/ns/net`];
  }

  /** Its first process; with `isRestarted` the one that starts the daemon again. */
  get pid(): number {
    return this.#namespaces.pid;
  }

  get folder(): string {
    return this.#namespaces.folder;
  }

  command(...args: string[]): Command {
    const { folder } = this.#namespaces;
    // A configuration of its own: the user's may name helpers and other daemons.
    const own = { DOCKER_HOST: `unix://${folder}/socket`, DOCKER_CONFIG: join(folder, 'client') };
    return { file: 'docker', args, env: { ...process.env, ...own } };
  }

  pids(): number[] {
    return this.#namespaces.pids();
  }

  /** Resolves once the daemon answers. */
  async listening(): Promise<void> {
    await this.#namespaces.ready(
      () =>
        callPeer(this, ['version']).then(
          () => true,
          () => false, // it does not listen yet
        ),
      'dockerd listens',
    );
  }

  close(): Promise<void> {
    return this.#namespaces.close();
  }
}
