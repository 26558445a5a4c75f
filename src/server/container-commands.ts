// The commands that change containers: run, start, stop, kill, restart, wait, rm.
//
// Several names are done one after the other, in the order given; the first unknown one ends the call.
//
// 2013: dockerd/dockerd.go, Server.CmdRun, CmdStop and CmdRm; of March server/server.go, CmdStart, CmdRestart, CmdKill and CmdWait

import type { Readable } from 'node:stream';
import { DEFAULT_TERM } from '../container/config.js';
import { STOP_TIMEOUT_S, type Container } from '../container/container.js';
import type { NewContainer } from '../container/container-record.js';
import type { Image } from '../image/image.js';
import { parseNetworkMode } from '../container/network-mode.js';
import { parsePortSpec } from '../network/port-spec.js';
import { bool, command, int, list, string } from '../rcli/command.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';
import { attach } from './attach.js';
import { ImageCommands } from './image-commands.js';

const DEFAULT_IMAGE = 'base';
const DEFAULT_COMMAND = ['/bin/bash', '-i'];
/** The client's exit status where the daemon refuses to run something: no program returns it by habit. */
export const STATUS_REFUSED = 125;

const run = command(
  'run',
  '[OPTIONS] IMAGE COMMAND [ARG...]',
  'Run a command in a new container',
  {
    a: bool(false, 'Attach standard output and standard error, and standard input with -i'),
    c: string('', 'A comment'),
    d: bool(false, 'Detach: print the id and leave the command running (the default on the wire)'),
    i: bool(false, 'Keep standard input open'),
    net: string('', 'Network: bridge (the default), none, host, or container:ID for that of another', parseNetworkMode),
    p: list('Publish a port: PRIVATE, PUBLIC:PRIVATE or IP:PUBLIC:PRIVATE, with /udp where it is one', parsePortSpec),
    t: bool(false, 'Give the command a terminal'),
    u: string('', 'Uid or name of the user that the command runs as, from the image'),
  },
  STATUS_REFUSED,
);
const start = command(
  'start',
  '[OPTIONS] NAME',
  'Start a stopped container',
  {
    a: bool(false, 'Attach standard output and standard error'),
    i: bool(false, 'Attach standard input'),
  },
  STATUS_REFUSED,
);
const stop = command('stop', '[OPTIONS] NAME', 'Stop a running container: SIGTERM, then SIGKILL', {
  t: int(STOP_TIMEOUT_S, 'Seconds to wait before the command is killed'),
});
const kill = command('kill', '[OPTIONS] CONTAINER [CONTAINER...]', 'Kill a running container', {});
const restart = command('restart', '[OPTIONS] NAME', 'Stop a container and start it again', {
  t: int(STOP_TIMEOUT_S, 'Seconds to wait before the command is killed'),
});
const wait = command('wait', '[OPTIONS] NAME', 'Wait until a container stops, then print its exit code', {});
const rm = command('rm', '[OPTIONS] CONTAINER', 'Stop a container and remove it', {
  f: bool(false, 'Kill it at once instead of stopping it'),
});

export const CONTAINER_COMMANDS = { run, start, stop, kill, restart, wait, rm };

/** See the head of the file. */
export abstract class ContainerCommands extends ImageCommands {
  /** Makes a container and starts it. Detached, prints its id; attached, its output until it ends. */
  async CmdRun(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = run.parse(stdout, args);
    if (call === undefined) return;
    const { flags } = call;
    const [imageName = '', ...given] = call.args;
    // QUIRK Q04: without a command it is an interactive, attached shell, whatever the flags (but for our own `-d`).
    const isShell = given.length === 0;
    const [path = '', ...rest] = isShell ? DEFAULT_COMMAND : given;
    const options = {
      hasTty: flags.t || isShell,
      isStdinOpen: flags.i || isShell,
      isAttached: (flags.a || isShell) && !flags.d,
    };
    const mode = parseNetworkMode(flags.net);
    const ports = flags.p.map(parsePortSpec);
    if (ports.length > 0 && mode.type !== 'bridge') {
      throw new Error(`Cannot publish ports with --net ${flags.net}: the container has no address of its own`);
    }
    if (call.args.some((arg) => arg.includes('\0'))) throw new Error('Cannot run: an argument contains a NUL byte');
    const image = this.parts.images.index.find(imageName || DEFAULT_IMAGE);
    if (image === undefined) throw new Error(`No such image: ${imageName || DEFAULT_IMAGE}`);
    const container = await this.#create(image, {
      path,
      args: rest,
      layers: image.layers,
      config: {
        user: flags.u,
        ramBytes: 0,
        ports,
        hasTty: options.hasTty,
        isStdinOpen: options.isStdinOpen,
        term: termOf(stdout),
        mode,
      },
      userData: { image: image.id, comment: flags.c },
    });
    try {
      await container.start(stdout.terminal);
    } catch (error) {
      await this.#discard(container);
      throw error;
    }
    if (!options.isAttached) {
      await writeTo(stdout, `${container.id}\n`);
      return;
    }
    const input = options.isStdinOpen ? stdin : undefined;
    await attach(container, { stdin: input, stdout, passesEnd: true, from: container.logs.runBegan });
  }

  /** Starts each container again, with its files as they are, and prints its id. */
  async CmdStart(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = start.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return start.usage(stdout);
    for (const name of call.args) {
      const container = this.container(name);
      await container.start(stdout.terminal);
      if (call.flags.a || call.flags.i) {
        const input = call.flags.i ? stdin : undefined;
        await attach(container, { stdin: input, stdout, passesEnd: true, from: container.logs.runBegan });
      } else {
        await writeTo(stdout, `${name}\n`);
      }
    }
  }

  /** Stops each container and prints its id. */
  async CmdStop(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = stop.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return stop.usage(stdout);
    for (const name of call.args) {
      await this.container(name).stop(call.flags.t);
      await writeTo(stdout, `${name}\n`);
    }
  }

  /** Kills each container; prints nothing. */
  async CmdKill(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = kill.parse(stdout, args);
    if (call === undefined) return;
    for (const name of call.args) await this.container(name).kill();
  }

  /** Stops and starts each container and prints its id. */
  async CmdRestart(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = restart.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return restart.usage(stdout);
    for (const name of call.args) {
      await this.container(name).restart(call.flags.t);
      await writeTo(stdout, `${name}\n`);
    }
  }

  /** Prints the exit code of each container as soon as it has one. */
  async CmdWait(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = wait.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return wait.usage(stdout);
    for (const name of call.args) {
      const status = await this.container(name).wait(stdout.gone);
      await writeTo(stdout, `${status}\n`);
    }
  }

  /** Removes each container; prints nothing. */
  async CmdRm(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = rm.parse(stdout, args);
    if (call === undefined) return;
    for (const name of call.args) await this.#destroy(this.container(name), call.flags.f);
  }

  /** Makes a container of an image that has just been found: the image may be removed before the container is on record. */
  async #create(image: Image, container: Omit<NewContainer, 'id'>): Promise<Container> {
    const release = this.parts.images.layers.hold(image.layers);
    try {
      return await this.parts.containers.create(container);
    } finally {
      await release();
    }
  }

  /** Removes a container that could not be started, and never rejects: the caller is told why it could not. */
  async #discard(container: Container): Promise<void> {
    await this.parts.containers.discard(container);
    await this.parts.images.layers.free(container.layers);
  }

  /** Removes a container, and the layers that only it had. */
  async #destroy(container: Container, isForced: boolean): Promise<void> {
    try {
      await this.parts.containers.destroy(container, isForced);
    } finally {
      await this.parts.images.layers.free(container.layers);
    }
  }
}

/** TERM for the container: the caller's, where it is a name that can stand in a configuration. */
function termOf(stdout: ReplyStream): Container['config']['term'] {
  const term = stdout.terminal?.term ?? '';
  return /^[\w.+-]{1,64}$/.test(term) ? term : DEFAULT_TERM;
}
