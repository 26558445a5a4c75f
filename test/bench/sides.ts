// What a topic of the benchmark measures with: a daemon of ours and the other engines, each fresh, each with the image `base`.

import { TestDaemon, type TestDaemonOptions } from '../harness.js';
import { BenchDocker } from './docker.js';
import type { Measured } from './measure.js';
import type { Peer } from './peer.js';
import { BenchPodman } from './podman.js';
import type { Curve } from './curve.js';

/** What all topics are given. */
export interface Bench {
  /** few runs, small numbers */
  isQuick: boolean;
  /** how often what takes long is run; what is fast runs some times as often */
  runs: number;
  /** Takes a result, when it is there. */
  report(measured: Measured): void;
  /** Takes a curve. */
  draw(curve: Curve): void;
  /** Takes what is there to compare with: program and version. */
  present(version: string): void;
  /** Takes what is not, and why. */
  absent(name: string, why: string): void;
}

/** See the head of the file. */
export interface Sides {
  daemon: TestDaemon;
  docker: BenchDocker | undefined;
  podman: BenchPodman | undefined;
  close(): Promise<void>;
}

/** Starts a daemon of ours whose files stay until the end of the benchmark. */
export function startDaemon(options: TestDaemonOptions = {}): Promise<TestDaemon> {
  return TestDaemon.start({ ...options, keepsFiles: true });
}

/** Starts all of them. The image is in the daemon, and it has been started again since. */
export async function startSides(bench: Bench): Promise<Sides> {
  const daemon = await startDaemon();
  const docker = await startPeer(bench, 'docker', () => BenchDocker.start());
  const podman = await startPeer(bench, 'podman', () => BenchPodman.start());
  const close = async (): Promise<void> => {
    await podman?.close();
    await docker?.close();
    await daemon.close();
  };
  return { daemon, docker, podman, close };
}

/** Starts one of them, and says where that cannot be. */
export async function startPeer<T extends Peer>(
  bench: Bench,
  name: string,
  start: () => Promise<T | undefined>,
): Promise<T | undefined> {
  try {
    const peer = await start();
    if (peer === undefined) bench.absent(name, 'not installed');
    else bench.present(peer.version);
    return peer;
  } catch (error) {
    const { message, cause } = error as Error; // ours throw nothing else
    bench.absent(
      name,
      `${message}: ${cause instanceof Error ? cause.message.trim().split('\n').slice(-1).join() : ''}`,
    );
    return undefined;
  }
}

/** Does that with everything started, and takes it away again whatever happens. */
export async function withSides(bench: Bench, action: (sides: Sides) => Promise<void>): Promise<void> {
  const sides = await startSides(bench);
  try {
    await action(sides);
  } finally {
    await sides.close();
  }
}
