// The commands that touch no container: web, mirror, debug. The last two are there to try a connection with.
//
// 2013: dockerd/dockerd.go, Server.CmdWeb, CmdMirror and CmdDebug

import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { bool, command, type Command } from '../rcli/command.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';
import { NetworkCommands } from './network-commands.js';
import { webPage } from './web-page.js';

const web = command('web', '[OPTIONS]', 'Print a web page that shows what the daemon answers over HTTP', {
  u: bool(false, 'Print the address of that page instead'),
});
const mirror = command('mirror', '', 'Send back what is sent, as it comes', {});
const debug = command('debug', '', 'Write what is sent into the log of the daemon', {});

/** How much of a line goes into the log, in characters. */
const LONGEST_LINE = 1_000;
const HELP = ['-h', '-help', '--help'];

export const DEBUG_COMMANDS = { web, mirror, debug };

/** See the head of the file. */
export abstract class DebugCommands extends NetworkCommands {
  /** The page, or where a browser finds it. */
  async CmdWeb(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = web.parse(stdout, args);
    if (call === undefined) return;
    if (!call.flags.u) return writeTo(stdout, webPage(this.commands));
    const url = this.parts.webUrl();
    if (url === undefined) throw new Error('Cannot tell the address of the web page: the HTTP server is off');
    await writeTo(stdout, `${url}\n`);
  }

  /** Every piece comes back before the next one is read. */
  async CmdMirror(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    if (isForHelp(mirror, stdout, args)) return;
    for await (const piece of stdin) await writeTo(stdout, piece as Buffer); // a byte stream
  }

  /** A line in the log for each line that comes. Nothing goes back. */
  async CmdDebug(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    if (isForHelp(debug, stdout, args)) return;
    const log = (line: string): void => this.parts.log(`debug: ${JSON.stringify(line)}`);
    const decoder = new StringDecoder();
    let line = '';
    for await (const piece of stdin) {
      const [first = '', ...rest] = decoder.write(piece as Buffer).split('\n'); // a byte stream
      line = (line + first).slice(0, LONGEST_LINE);
      for (const next of rest) {
        log(line);
        line = next.slice(0, LONGEST_LINE);
      }
    }
    if (line !== '') log(line);
  }
}

/** QUIRK Q10: these two take any arguments and heed none, but for a call for help. */
function isForHelp(asked: Command, stdout: ReplyStream, [first = '']: readonly string[]): boolean {
  if (HELP.includes(first)) asked.usage(stdout);
  return HELP.includes(first);
}
