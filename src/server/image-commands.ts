// The commands that touch images: put, pull, images, cp, rmi, layers.
//
// 2013: dockerd/dockerd.go, Server.CmdPut, CmdPull, CmdImages, CmdCp and CmdLayers; of March server/server.go, CmdRmi

import type { Readable } from 'node:stream';
import { imageCreatedMs, type Image } from '../image/image.js';
import { bool, command, int } from '../rcli/command.js';
import { borrowInput } from '../rcli/input.js';
import type { ReplyStream } from '../rcli/reply.js';
import { errorMessage } from '../util/errors.js';
import { goTime } from '../util/go-time.js';
import { humanDuration } from '../util/human-duration.js';
import { formatTable } from '../util/table.js';
import { download } from './download.js';
import { ServerBase } from './server-base.js';

const TABLE_LAYOUT = { minWidth: 20, padding: 3 };

const put = command('put', '[OPTIONS] NAME', 'Make an image from an archive on standard input', {});
const pull = command('pull', '[OPTIONS] NAME', 'Make an image from an archive at a URL', {});
const images = command('images', '[OPTIONS] [NAME]', 'List images', {
  l: int(0, 'Show at most so many versions of a name; 0 for all'),
  q: bool(false, 'Show ids only'),
});
const cp = command('cp', '[OPTIONS] IMAGE NAME', 'Give an image a second name', {});
const rmi = command('rmi', '[OPTIONS] IMAGE', 'Remove images by name, with all their versions', {
  r: bool(false, 'Take each IMAGE for a regular expression, and remove what it matches'),
});
const layers = command('layers', '[OPTIONS]', 'List the folders of all layers', {});

export const IMAGE_COMMANDS = { put, pull, images, cp, rmi, layers };

/** See the head of the file. */
export abstract class ImageCommands extends ServerBase {
  /** Makes an image of the archive on stdin, which may be compressed; prints its id. */
  async CmdPut(stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = put.parse(stdout, args);
    if (call === undefined) return;
    const [name] = call.args;
    if (name === undefined) throw new Error('Not enough arguments');
    const image = await this.parts.images.import(name, borrowInput(stdin));
    stdout.write(`${image.id}\n`);
  }

  /** As put, from the web. The URL is the image's name. */
  async CmdPull(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = pull.parse(stdout, args);
    if (call === undefined) return;
    const [name] = call.args;
    if (name === undefined) throw new Error('Not enough arguments');
    const body = await download(name, stdout.gone);
    try {
      const image = await this.parts.images.import(name, body);
      stdout.write(`${image.id}\n`);
    } catch (error) {
      throw new Error(`Cannot pull "${name}": ${errorMessage(error)}`, { cause: error });
    }
  }

  /** A line for each version of each name, or of one name. */
  async CmdImages(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = images.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length > 1) return images.usage(stdout);
    const { index } = this.parts.images;
    const limit = call.flags.l > 0 ? call.flags.l : Infinity;
    const [only] = call.args;
    const names = only === undefined ? index.names : [only];
    const versions = (name: string): readonly Image[] => index.history(name).slice(0, limit);
    if (call.flags.q) {
      stdout.write(names.flatMap((name) => versions(name).map(({ id }) => `${id}\n`)).join(''));
    } else {
      const now = Date.now();
      const rows = names.flatMap((name) => versions(name).map((image) => imageRow(name, image, now)));
      stdout.write(formatTable([['NAME', 'ID', 'CREATED', 'PARENT'], ...rows], TABLE_LAYOUT));
    }
  }

  /** Makes an image of another one's layers, and prints its id. */
  async CmdCp(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = cp.parse(stdout, args);
    if (call === undefined) return;
    const [source = '', name = ''] = call.args;
    const image = await this.parts.images.index.copy(source, name, goTime(Date.now()));
    stdout.write(`${image.id}\n`);
  }

  /** Removes each name; prints nothing. Containers of an image keep what they are made of. */
  async CmdRmi(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    const call = rmi.parse(stdout, args);
    if (call === undefined) return;
    if (call.args.length === 0) return rmi.usage(stdout);
    const { index, layers: store } = this.parts.images;
    for (const name of call.args) {
      const removed = call.flags.r ? await index.deleteMatch(name) : await index.delete(name);
      await store.free(removed.flatMap((image) => image.layers));
    }
  }

  /** A line for each layer: the folder on the host. */
  async CmdLayers(_stdin: Readable, stdout: ReplyStream, ...args: string[]): Promise<void> {
    if (layers.parse(stdout, args) === undefined) return;
    const folders = await this.parts.images.layers.list();
    stdout.write(folders.map((folder) => `${folder}\n`).join(''));
  }
}

function imageRow(name: string, image: Image, now: number): string[] {
  const ago = humanDuration((now - imageCreatedMs(image)) / 1000);
  // Dots after the id: the image has more layers than the one that the id names.
  return [name, image.id + (image.layers.length > 1 ? '...' : ''), `${ago} ago`, image.parent];
}
