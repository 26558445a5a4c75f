// Podman, to compare with: no daemon, but namespaces and a folder of its own (peer-podman.sh), and the image `base`.
//
// It is given limits that it need not raise: where the machine grants its root no CAP_SYS_RESOURCE, its own ones fail.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixtureTar } from '../fixture.js';
import { callPeer, isInstalled, PeerNamespaces, type Command, type Peer } from './peer.js';

const LIMITS = '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=16384:16384"]\n';

/** See the head of the file. */
export class BenchPodman implements Peer {
  readonly name = 'podman';
  version = '';
  readonly #namespaces: PeerNamespaces;
  #runtime = '';

  private constructor(namespaces: PeerNamespaces) {
    this.#namespaces = namespaces;
  }

  /** Undefined where podman is not installed. Rejects where it is, and runs nothing. */
  static async start(): Promise<BenchPodman | undefined> {
    if (!isInstalled('podman')) return undefined;
    const podman = new BenchPodman(await PeerNamespaces.start('podman', 'peer-podman.sh'));
    try {
      await podman.#begin();
    } catch (error) {
      await podman.close();
      throw new Error('Cannot run podman', { cause: error });
    }
    return podman;
  }

  get enter(): readonly string[] {
    return ['nsenter', `--net=/proc/${this.#namespaces.pid}/ns/net`];
  }

  command(...args: string[]): Command {
    const { folder, inner, name } = this.#namespaces;
    const places = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--tmpdir', join(folder, 'tmp')];
    const global = [...places, '--cgroup-manager', 'cgroupfs', '--runtime', this.#runtime];
    const [command = '', ...rest] = args;
    const quiet = ['import', 'commit'].includes(command) ? ['-q'] : [];
    const own = command === 'run' ? ['--cgroup-parent', `/${name}`, '--log-driver', 'k8s-file'] : quiet;
    const words = ['-t', String(inner), '--mount', '--pid', '--net', 'podman', ...global, command, ...own, ...rest];
    return { file: 'nsenter', args: words, env: { ...process.env, CONTAINERS_CONF: join(folder, 'containers.conf') } };
  }

  pids(): number[] {
    return this.#namespaces.pids();
  }

  close(): Promise<void> {
    return this.#namespaces.close();
  }

  async #begin(): Promise<void> {
    const { folder } = this.#namespaces;
    await this.#namespaces.ready(() => existsSync(join(folder, 'ready')), 'podman has a place');
    writeFileSync(join(folder, 'containers.conf'), LIMITS);
    // The runtime that it takes by itself comes first.
    const runtimes = ['crun', 'runc'].filter(isInstalled);
    let problem: unknown = new Error('Cannot find crun or runc on the PATH');
    for (const runtime of runtimes) {
      this.#runtime = runtime;
      try {
        await callPeer(this, ['import', '-', 'base'], fixtureTar());
        await callPeer(this, ['run', '--rm', '--network', 'none', 'base', '/bin/true']);
        const first = (program: string): string =>
          execFileSync(program, ['--version'], { encoding: 'utf8' }).split('\n')[0]?.replace(' version', '') ?? '';
        this.version = `${first('podman')} with ${first(runtime)}`;
        return;
      } catch (error) {
        problem = error;
      }
    }
    throw problem;
  }
}
