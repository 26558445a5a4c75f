// The commands that handle a container's file system and look into it: cat, ls, write, reset, mount, umount.
//
// `cat`, `ls` and `write` mount a container that is not mounted, and leave it so, as in 2013.
//
// DIFFERS D19: the original kept the files open that it had read or written, and could not unmount any more. The rule that
// must hold: when a call ends, however it ends, nothing of the tree is open.
//
// 2013: dockerd/dockerd.go, Server.CmdCat, CmdLs, CmdWrite, CmdReset, CmdMount and CmdUmount

import type { Readable } from 'node:stream';
import type { InsideFile } from '../filesystem/inside.js';
import { command } from '../rcli/command.js';
import { borrowInput } from '../rcli/input.js';
import { writeTo, type ReplyStream } from '../rcli/reply.js';
import { ContainerCommands } from './container-commands.js';

/** How many names `ls` prints at a time. */
const NAMES_A_PIECE = 4096;

const cat = command('cat', '[OPTIONS] CONTAINER PATH', 'Print a file of a container', {});
const ls = command('ls', '[OPTIONS] CONTAINER PATH', 'List the names in a folder of a container', {});
const write = command('write', '[OPTIONS] CONTAINER PATH', 'Write standard input into a file of a container', {});
// QUIRK Q05: the synopsis has the options last.
const reset = command('reset', 'CONTAINER [OPTIONS]', 'Undo all changes to the files of a stopped container', {});
const mount = command('mount', '[OPTIONS] NAME', 'Mount the file system of a stopped container', {});
const umount = command('umount', '[OPTIONS] NAME', 'Unmount the file system of a stopped container', {});

export const FILE_COMMANDS = { cat, ls, write, reset, mount, umount };

/** See the head of the file. */
export abstract class FileCommands extends ContainerCommands {
  /** The content of a file. */
  async CmdCat(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = cat.parse(stdout, args);
    if (call === undefined) return;
    const [name, path] = call.args;
    if (name === undefined || path === undefined) return cat.usage(stdout);
    const file = await this.container(name).filesystem.inside((tree) => tree.openFile(path, 'read'));
    try {
      for await (const piece of file.pieces()) await writeTo(stdout, piece);
    } finally {
      await file.close();
    }
  }

  /** The names in a folder, a line each, as they are: bytes. */
  async CmdLs(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = ls.parse(stdout, args);
    if (call === undefined) return;
    const [name, path] = call.args;
    if (name === undefined || path === undefined) return ls.usage(stdout);
    const names = await this.container(name).filesystem.inside((tree) => tree.readDir(path));
    for (let at = 0; at < names.length; at += NAMES_A_PIECE) {
      const lines = names.slice(at, at + NAMES_A_PIECE).map((line) => `${line}\n`);
      await writeTo(stdout, Buffer.from(lines.join(''), 'latin1'));
    }
  }

  /** Puts stdin into a file. QUIRK Q06: what is longer than that keeps its end. */
  async CmdWrite(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = write.parse(stdout, args);
    if (call === undefined) return;
    const [name, path] = call.args;
    if (name === undefined || path === undefined) return write.usage(stdout);
    let file: InsideFile | undefined;
    const input = borrowInput(stdin);
    try {
      file = await this.container(name).filesystem.inside((tree) => tree.openFile(path, 'write'));
      // the input has no encoding: its pieces are bytes
      for await (const piece of input as AsyncIterable<Buffer>) await file.write(piece);
    } finally {
      input.destroy();
      await file?.close();
    }
  }

  /** Takes back what each container changed. QUIRK Q07: unknown names are passed over, and nothing is printed. */
  async CmdReset(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = reset.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) throw new Error('Not enough arguments');
    for (const name of call.args) {
      const container = this.parts.containers.get(name);
      // DIFFERS D16: to reset a running container crashed the original.
      await container?.whileStopped('reset', () => container.filesystem.reset());
    }
  }

  /** Mounts each container and prints its id. */
  async CmdMount(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = mount.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return mount.usage(stdout);
    for (const name of call.args) {
      await this.container(name).filesystem.mount();
      await writeTo(stdout, `${name}\n`);
    }
  }

  /** Unmounts each container and prints its id. */
  async CmdUmount(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = umount.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return umount.usage(stdout);
    for (const name of call.args) {
      const container = this.container(name);
      // DIFFERS D17: the original tried, and a program that had nothing open lost its files.
      await container.whileStopped('unmount', () => container.filesystem.umount());
      await writeTo(stdout, `${name}\n`);
    }
  }
}
