// The command that tells of a container's network: port.
//
// 2013: server/server.go, Server.CmdPort (March)

import type { Readable } from 'node:stream';
import { byImportance } from '../container/network-settings.js';
import { command } from '../rcli/command.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';
import { LookCommands } from './look-commands.js';

const port = command(
  'port',
  '[OPTIONS] CONTAINER PRIVATE_PORT',
  'Print the public port that leads to a private one',
  {},
);

export const NETWORK_COMMANDS = { port };

/** See the head of the file. */
export abstract class NetworkCommands extends LookCommands {
  /** The public port: the one that `inspect` shows. `PORT/udp` and `PORT/tcp` mean that protocol alone. */
  async CmdPort(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = port.parse(stdout, args);
    if (call === undefined) return;
    const [name, wanted] = call.args;
    if (name === undefined || wanted === undefined) return port.usage(stdout);
    const { network } = this.container(name);
    const [number = '', protocol] = wanted.split('/');
    const found = (network?.ports ?? [])
      .filter((port) => String(port.privatePort) === number && (protocol ?? port.protocol) === port.protocol)
      .sort(byImportance)[0];
    if (found === undefined) throw new Error(`No private port '${wanted}' allocated on ${name}`);
    await writeTo(stdout, `${found.publicPort}\n`);
  }
}
