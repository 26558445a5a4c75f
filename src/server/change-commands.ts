// The commands about what a container changed: diff, commit, tar.
//
// 2013: dockerd/dockerd.go, Server.CmdDiff, CmdCommit and CmdTar

import type { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { bool, command } from '../rcli/command.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';
import { FileCommands } from './file-commands.js';

/** How many characters are collected before they are written. */
const PIECE = 64 * 1024;

const diff = command('diff', 'CONTAINER [OPTIONS]', 'List what a container has added, changed and deleted', {});
const commit = command('commit', '[OPTIONS] CONTAINER [DEST]', "Make an image of a container's changes", {});
const tar = command('tar', 'CONTAINER', "Print a container's whole file system as an archive", {
  s: bool(false, 'Sparse: not implemented'),
});

export const CHANGE_COMMANDS = { diff, commit, tar };

/** See the head of the file. */
export abstract class ChangeCommands extends FileCommands {
  /** A line for each change: A, C or D, and the path, byte by byte. */
  async CmdDiff(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = diff.parse(stdout, args);
    if (call === undefined) return;
    const [name] = call.args;
    if (name === undefined) throw new Error('Not enough arguments');
    const container = this.parts.containers.get(name);
    // QUIRK Q08: the error does not say which name it was, as that of every other command does.
    if (container === undefined) throw new Error('No such container');
    const changes = await container.filesystem.changes();
    let lines = '';
    for (const { kind, path } of changes) {
      lines += `${kind} ${path}\n`;
      if (lines.length < PIECE) continue;
      await writeTo(stdout, Buffer.from(lines, 'latin1'));
      await nextTurn(); // to a caller that reads as fast as this writes it would all go in one turn, and nobody else have one
      lines = '';
    }
    await writeTo(stdout, Buffer.from(lines, 'latin1'));
  }

  /** Makes an image of the layers of a container and, on top, what it changed; prints its id. A running one is frozen meanwhile. */
  async CmdCommit(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = commit.parse(stdout, args);
    if (call === undefined) return;
    const [name = '', imageName = ''] = call.args;
    if (name === '' || imageName === '') return commit.usage(stdout);
    const container = this.container(name);
    const { filesystem, layers } = container;
    const parent = container.userData('image');
    const image = await container.whileFrozen(() =>
      filesystem.commit((archive) => this.parts.images.create(imageName, archive, layers, parent)),
    );
    await writeTo(stdout, `${image.id}\n`);
  }

  /** The tree as it is now. Mounts the container, and leaves it so. */
  async CmdTar(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = tar.parse(stdout, args);
    if (call === undefined) return;
    if (call.flags.s) throw new Error('Sparse mode not yet implemented');
    const archive = await this.container(call.args[0] ?? '').filesystem.tar();
    for await (const chunk of archive) await writeTo(stdout, chunk as Buffer); // a stream of bytes
  }
}
