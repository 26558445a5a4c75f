// Opening the FIFOs and the pseudo terminal of a run: for a new one, and for one that an earlier daemon began.
//
// Each process gets an open file of its own, never a copy of another's descriptor: O_NONBLOCK belongs to the open file,
// the daemon needs it and a program must not see it. The master of a pty cannot be opened twice and is shared.
//
// 2013: container.go, Container.start and startPty

import { closeSync, constants, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { hasCode } from '../linux/libc.js';
import { mkfifo, setPipeSize } from '../linux/pipe.js';
import { openPeer, openRawPty } from '../linux/pty.js';
import type { HeldStreams, Holder } from './holder.js';
import { STDERR, STDOUT } from './log-records.js';
import { openNull } from './null-device.js';
import type { OutputSource } from './output-pump.js';
import { TerminalInput } from './terminal-input.js';

const FIFO_MODE = 0o600;
/** What a program may print ahead of the daemon, in bytes. */
const PIPE_BYTES = 1024 * 1024;
const { O_RDONLY, O_RDWR, O_WRONLY, O_NONBLOCK } = constants;

/** The FIFOs in a container's folder while it runs. With a terminal there is only stdout. */
export const FIFO_NAMES = ['stdin', 'stdout', 'stderr'];

/** The open streams of a run. */
export interface OpenStreams {
  /** descriptors 0, 1 and 2 for lxc-start, which the caller closes once it has them; none where it runs already */
  forLxc: readonly number[];
  readonly terminalPath: string | undefined;
  /** what is written here the program reads */
  stdin: Writable | undefined;
  readonly sources: OutputSource[];
  /** descriptors for a holder, which the caller hands back to `closeForHolder` */
  openForHolder(): HeldStreams;
  closeForHolder(streams: HeldStreams): void;
}

/** FIFOs for a run without a terminal. */
export function createPipes(root: string, isStdinOpen: boolean): OpenStreams {
  const [stdin, stdout, stderr] = paths(root);
  mkfifo(stdout, FIFO_MODE);
  mkfifo(stderr, FIFO_MODE);
  if (isStdinOpen) mkfifo(stdin, FIFO_MODE);
  return allOrNone((keep) => {
    const input = keep(isStdinOpen ? openReading(stdin) : openNull(root));
    return pipes(root, [input, keep(openSync(stdout, O_RDWR)), keep(openSync(stderr, O_RDWR))]);
  });
}

/** The FIFOs of a run that goes on, or has ended with its output still in them. */
export function adoptPipes(root: string, holder: Holder | undefined): OpenStreams {
  // Whoever opens stdin once more takes its end back, which the program may not have read yet.
  return pipes(root, [], holder?.holdsStdin ?? true);
}

/**
 * A pseudo terminal and its FIFO for a new run. Its input holds what is typed, for the caller to release once the program is
 * there: lxc-start sets the terminal up while it starts, and with that (TCSAFLUSH) throws away what nobody has read yet.
 */
export function createTerminal(root: string): OpenStreams {
  const [, stdout] = paths(root);
  mkfifo(stdout, FIFO_MODE);
  return allOrNone((keep) => {
    const { master, path } = openRawPty();
    keep(master);
    const forLxc = keep(openSync(stdout, O_RDWR));
    const streams = terminal(root, master, path, [keep(openNull(root)), forLxc, forLxc]);
    streams.stdin.hold();
    return streams;
  });
}

/** The terminal of a run that goes on. Without its holder there is none any more, and no more output comes. */
export function adoptTerminal(root: string, holder: Holder | undefined): OpenStreams {
  if (holder === undefined) return pipes(root, []);
  return allOrNone((keep) => terminal(root, keep(holder.take(0)), undefined, []));
}

function pipes(root: string, forLxc: readonly number[], isStdinOpen = true): OpenStreams {
  const [stdin, stdout, stderr] = paths(root);
  const outputs = [
    { stream: STDOUT, path: stdout },
    { stream: STDERR, path: stderr },
  ] as const;
  return allOrNone((keep) => {
    const sources = outputs.flatMap(({ stream, path }) => {
      const fifo = openIfThere(path, O_RDONLY | O_NONBLOCK);
      if (fifo === undefined) return [];
      setPipeSize(keep(fifo), PIPE_BYTES);
      return [{ stream, fifo }];
    });
    return {
      forLxc,
      terminalPath: undefined,
      stdin: isStdinOpen ? openStdin(stdin) : undefined,
      sources,
      openForHolder() {
        // O_NONBLOCK: to open does not wait for the other side. The holder neither reads nor writes.
        return allOrNone((keep) => {
          const hold = (path: string, flags: number): number | 'ignore' => {
            const fd = openIfThere(path, flags | O_NONBLOCK);
            return fd === undefined ? 'ignore' : keep(fd);
          };
          const input = this.stdin === undefined ? 'ignore' : hold(stdin, O_WRONLY);
          return [input, hold(stdout, O_RDONLY), hold(stderr, O_RDONLY)];
        });
      },
      closeForHolder(streams) {
        for (const fd of streams) if (fd !== 'ignore') closeSync(fd);
      },
    };
  });
}

function terminal(
  root: string,
  master: number,
  terminalPath: string | undefined,
  forLxc: readonly number[],
): OpenStreams & { stdin: TerminalInput } {
  const [, stdout] = paths(root);
  return allOrNone((keep) => {
    const fifo = keep(openSync(stdout, O_RDWR | O_NONBLOCK));
    setPipeSize(fifo, PIPE_BYTES);
    return {
      forLxc,
      terminalPath,
      stdin: new TerminalInput(master),
      sources: [{ stream: STDOUT, fifo, terminal: { master, peer: keep(openPeer(master)) } }],
      openForHolder() {
        return allOrNone((keep) => [
          master,
          keep(openSync(stdout, O_RDWR | O_NONBLOCK)),
          keep(openSync('/dev/null', O_RDONLY)),
        ]);
      },
      closeForHolder([, ...streams]) {
        for (const fd of streams) if (fd !== 'ignore') closeSync(fd);
      },
    };
  });
}

function openStdin(path: string): Writable | undefined {
  const fd = openIfThere(path, O_WRONLY | O_NONBLOCK);
  if (fd === undefined) return undefined;
  const stdin = new Socket({ fd, readable: false, writable: true });
  stdin.setMaxListeners(0); // any number of callers may be attached
  stdin.on('error', () => undefined); // the program has closed its stdin, or ended
  return stdin;
}

/** A FIFO opens for one side only while another has the other side, or for both at once. */
function openReading(path: string): number {
  const both = openSync(path, O_RDWR);
  try {
    return openSync(path, O_RDONLY);
  } finally {
    closeSync(both);
  }
}

/** What is opened in `body` and given to `keep` is closed again where the body fails: nobody else would know of it. */
function allOrNone<T>(body: (keep: (fd: number) => number) => T): T {
  const open: number[] = [];
  try {
    return body((fd) => {
      open.push(fd);
      return fd;
    });
  } catch (error) {
    for (const fd of open) closeSync(fd);
    throw error;
  }
}

/** Undefined where there is no such FIFO, or nobody at its other side. */
function openIfThere(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENXIO')) return undefined;
    throw error;
  }
}

function paths(root: string): [string, string, string] {
  return [join(root, 'stdin'), join(root, 'stdout'), join(root, 'stderr')];
}
