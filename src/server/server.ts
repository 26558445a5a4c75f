// The server: one object whose commands are found by name. Each class below it in the chain adds the commands of one
// topic; this one says in which order `help` lists them.
//
// 2013: dockerd/dockerd.go, type Server and Server.Help

import type { Command } from '../rcli/command.js';
import { CONTAINER_COMMANDS } from './container-commands.js';
import { IMAGE_COMMANDS } from './image-commands.js';
import { LOOK_COMMANDS, LookCommands } from './look-commands.js';

const { run, start, stop, kill, restart, wait, rm } = CONTAINER_COMMANDS;
const { ps, logs, attach, inspect, version } = LOOK_COMMANDS;
const { put, pull, images } = IMAGE_COMMANDS;

/** All declarations: a life of a container first, then images, then the rest. */
export const COMMANDS: readonly Command[] = [
  run, ps, logs, attach, wait, stop, kill, start, restart, rm, inspect, images, put, pull, version,
]; // prettier-ignore

/** See the head of the file. */
export class Server extends LookCommands {
  readonly commands = COMMANDS;
}
