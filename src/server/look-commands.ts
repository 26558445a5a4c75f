// The commands that look at containers and change nothing: ps, logs, attach, inspect, info, version.
//
// 2013: dockerd/dockerd.go, Server.CmdPs, CmdLogs, CmdAttach and CmdInspect; of March server/server.go, CmdInfo

import type { Readable } from 'node:stream';
import type { Container } from '../container/container.js';
import { readLog, readStream, tailPosition, type LogSink } from '../container/log-reader.js';
import { STDERR, STDOUT } from '../container/log-records.js';
import { imageToJSON } from '../image/image.js';
import { bool, command, int } from '../rcli/command.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';
import { goMarshalIndent } from '../util/go-json.js';
import { goTime } from '../util/go-time.js';
import { humanDuration } from '../util/human-duration.js';
import { formatTable, truncateBytes } from '../util/table.js';
import { attach } from './attach.js';
import { STATUS_REFUSED } from './container-commands.js';
import { ChangeCommands } from './change-commands.js';

const TABLE_LAYOUT = { minWidth: 12, padding: 3 };
/** How much of a command line `ps` shows, in bytes. */
const SHOWN_COMMAND_BYTES = 20;
const ALL_LINES = -1;
/** How many pieces of damage `info` shows. */
const SHOWN_DAMAGE = 50;

const ps = command('ps', '[OPTIONS]', 'List containers', {
  a: bool(false, 'Show stopped containers too'),
  notrunc: bool(false, 'Show whole command lines'),
  q: bool(false, 'Show ids only'),
});
const logs = command('logs', '[OPTIONS] CONTAINER', 'Print what a container has printed', {
  f: bool(false, 'Go on until the container stops, in order of arrival'),
  t: bool(false, 'Put the time before each line, in order of arrival'),
  tail: int(ALL_LINES, 'Only so many lines from the end, in order of arrival'),
});
const attachTo = command(
  'attach',
  '[OPTIONS]',
  'Attach to a running container',
  {
    e: bool(true, 'Attach standard error'),
    i: bool(false, 'Attach standard input'),
    o: bool(true, 'Attach standard output'),
  },
  STATUS_REFUSED,
);
const inspect = command(
  'inspect',
  '[OPTIONS] CONTAINER',
  'Print what is known of a container or an image, as JSON',
  {},
);
const info = command('info', '', 'Print how many containers and images there are, and what the daemon works with', {});
const version = command('version', '', 'Print the versions of the daemon and of what it runs on', {});

export const LOOK_COMMANDS = { ps, logs, attach: attachTo, inspect, info, version };

/** See the head of the file. */
export abstract class LookCommands extends ChangeCommands {
  /** A line for each container, newest first. */
  async CmdPs(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = ps.parse(stdout, args);
    if (call === undefined) return;
    const shown = this.parts.containers.list().filter(({ state }) => call.flags.a || state.isRunning);
    if (call.flags.q) {
      stdout.write(shown.map(({ id }) => `${id}\n`).join(''));
    } else {
      const now = Date.now();
      const rows = shown.map((container) => containerRow(container, call.flags.notrunc, now));
      const header = ['ID', 'IMAGE', 'COMMAND', 'CREATED', 'STATUS', 'COMMENT'];
      stdout.write(formatTable([header, ...rows], TABLE_LAYOUT));
    }
  }

  /** QUIRK Q03: without flags all of stdout, then all of stderr, whatever came first. */
  async CmdLogs(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = logs.parse(stdout, args);
    if (call === undefined) return;
    const [name] = call.args;
    if (name === undefined || call.args.length > 1) return logs.usage(stdout);
    const { logs: store } = this.container(name);
    const { f: follow, t: isTimed, tail } = call.flags;
    store.refresh();
    const sink: LogSink = (stream, piece) => writeTo(stream === STDERR ? stdout.stderr : stdout, piece);
    if (!follow && !isTimed && tail === ALL_LINES) {
      await readStream(store, STDOUT, stdout.gone, sink);
      await readStream(store, STDERR, stdout.gone, sink);
      return;
    }
    const from = tail === ALL_LINES ? { stdout: 0, stderr: 0, order: 0 } : await tailPosition(store, Math.max(0, tail));
    const options = { from, follow, stdout: true, stderr: true, separate: isTimed, signal: stdout.gone };
    await readLog(store, options, isTimed ? withTimes(sink) : sink);
  }

  /** Output from now on, until the container stops. */
  async CmdAttach(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = attachTo.parse(stdout, args);
    if (call === undefined) return;
    const [name] = call.args;
    if (name === undefined || call.args.length > 1) return attachTo.usage(stdout);
    const container = this.container(name);
    // DIFFERS D10: to attach to a stopped container hung the original.
    if (!container.state.isRunning) throw new Error(`Container ${name} is not running`);
    const { i, o, e } = call.flags;
    if (!o && !e) return;
    if (stdout.terminal !== undefined) container.resize(stdout.terminal);
    // QUIRK Q02: the end of an attached input is not passed on; the program's input stays open for the next caller.
    const input = i ? stdin : undefined;
    const streams = { stdout: o, stderr: e };
    await attach(container, { stdin: input, stdout, passesEnd: false, from: container.logs.end, streams });
  }

  /** The container of that id, else the image. */
  async CmdInspect(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = inspect.parse(stdout, args);
    if (call === undefined) return;
    const [name] = call.args;
    if (name === undefined) return inspect.usage(stdout);
    const container = this.parts.containers.get(name);
    const image = this.parts.images.index.find(name);
    if (container !== undefined) stdout.write(goMarshalIndent(container.toJSON()));
    else if (image !== undefined) stdout.write(goMarshalIndent(imageToJSON(image)));
    else throw new Error(`No such container or image: ${name}`);
  }

  /** The three lines of 2013, then our own. */
  async CmdInfo(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    if (info.parse(stdout, args) === undefined) return;
    const { containers, images, version: own, lxcVersion, driver, network, damage } = this.parts;
    stdout.write(`containers: ${containers.size}\nversion: ${own}\nimages: ${images.index.size}\n`);
    stdout.write(`driver: ${driver}\nlxc: ${lxcVersion}\nbridge: ${network.toString()}\n`);
    const { lines } = damage;
    stdout.write(lines.slice(0, SHOWN_DAMAGE).map((line) => `damage: ${line}\n`).join('')); // prettier-ignore
    if (lines.length > SHOWN_DAMAGE) stdout.write(`damage: and ${lines.length - SHOWN_DAMAGE} more, see the log\n`);
  }

  async CmdVersion(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    if (version.parse(stdout, args) === undefined) return;
    const { version: own, lxcVersion, driver } = this.parts;
    stdout.write(`tsdock ${own}\nnode ${process.versions.node}\nlxc ${lxcVersion}\ndriver ${driver}\n`);
  }
}

function containerRow(container: Container, isWhole: boolean, now: number): string[] {
  const { id, commandLine, createdAtMs, state } = container;
  const shown = isWhole ? commandLine : truncateBytes(commandLine, SHOWN_COMMAND_BYTES);
  const ago = `${humanDuration((now - createdAtMs) / 1000)} ago`;
  return [id, container.userData('image'), shown, ago, state.toString(), container.userData('comment')];
}

/** Puts the time of its chunk before each line. A line that comes in several chunks has the time of its first. */
function withTimes(sink: LogSink): LogSink {
  let isLineStart = true;
  return async (stream, piece, timeNs) => {
    const prefix = Buffer.from(`${goTime(Number(timeNs / 1_000_000n))} `);
    const parts: Buffer[] = [];
    for (let at = 0; at < piece.length;) {
      const newline = piece.indexOf(0x0a, at);
      const next = newline < 0 ? piece.length : newline + 1;
      if (isLineStart) parts.push(prefix);
      parts.push(piece.subarray(at, next));
      isLineStart = newline >= 0;
      at = next;
    }
    await sink(stream, Buffer.concat(parts), timeNs);
  };
}
