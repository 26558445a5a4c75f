// The server: one object whose commands are found by name. Each class below it in the chain adds the commands of one
// topic; this one says in which order `help` lists them.
//
// 2013: dockerd/dockerd.go, type Server and Server.Help

import type { Command } from '../rcli/command.js';
import { CHANGE_COMMANDS } from './change-commands.js';
import { CONTAINER_COMMANDS } from './container-commands.js';
import { DEBUG_COMMANDS, DebugCommands } from './debug-commands.js';
import { FILE_COMMANDS } from './file-commands.js';
import { IMAGE_COMMANDS } from './image-commands.js';
import { LOOK_COMMANDS } from './look-commands.js';
import { NETWORK_COMMANDS } from './network-commands.js';

const { run, start, stop, kill, restart, wait, rm } = CONTAINER_COMMANDS;
const { cat, ls, write, mount, umount, reset } = FILE_COMMANDS;
const { diff, commit, tar } = CHANGE_COMMANDS;
const { ps, logs, attach, inspect, info, version } = LOOK_COMMANDS;
const { port } = NETWORK_COMMANDS;
const { web, mirror, debug } = DEBUG_COMMANDS;
const { put, pull, images, cp, rmi, layers } = IMAGE_COMMANDS;

/** All declarations: a life of a container first, then images, then the rest. */
export const COMMANDS: readonly Command[] = [
  run, ps, logs, attach, wait, stop, kill, start, restart, rm, inspect, port, cat, ls, write, diff, commit, tar, reset, mount, umount,
  images, put, pull, cp, rmi, layers, info, version, web, mirror, debug,
]; // prettier-ignore

/** See the head of the file. */
export class Server extends DebugCommands {
  readonly commands = COMMANDS;
}
