// From the words of a call to the method that does it, by reflection: `run` is `CmdRun`, found on the service's
// prototype chain. Adding a command is writing a method.
//
// The rule that must hold: only a function that is named `Cmd` + a capital + small letters, and that a class of the
// chain itself declares, can be called. Not `constructor`, not `__proto__`, not a field.
//
// 2013: rcli/types.go, call and getMethod

import type { Readable } from 'node:stream';
import type { Command } from './command.js';
import { FlagError, HELP_REQUESTED, parseFlags } from './flags.js';
import type { ReplyStream } from './reply.js';
import { overviewText } from './usage.js';

/** The shape of every command, so that it can be read beside its original. */
export type CommandMethod = (stdin: Readable, stdout: ReplyStream, ...args: string[]) => Promise<void>;

/** An object whose `Cmd*` methods can be called from afar. */
export interface Service {
  /** The declarations of its commands, in the order of the overview. */
  readonly commands: readonly Command[];
}

/**
 * Does what the words say. Resolves when the command has ended; rejects with its error, whose message is for the caller.
 * `reply.status` is what a framed caller is told.
 */
export async function call(service: Service, stdin: Readable, stdout: ReplyStream, words: string[]): Promise<void> {
  const args = commandLine(service, stdout, words);
  const [word = '', ...rest] = args;
  if (word === '' || (word === 'help' && (rest[0] ?? '') === '')) {
    stdout.write(overviewText(service.commands));
    return;
  }
  if (word === 'help') return call(service, stdin, stdout, [rest[0] ?? '', '--help']);
  const method = getMethod(service, word);
  if (method === undefined) throw new Error(`No such command: ${word}`);
  try {
    await method.call(service, stdin, stdout, ...rest);
  } catch (error) {
    stdout.status = failureStatus(service, word);
    throw error;
  }
}

/** The exit status of a framed caller whose call of this command word fails. */
export function failureStatus(service: Service, word: string): number {
  return service.commands.find(({ name }) => name === word.toLowerCase())?.failureStatus ?? 1;
}

/** The method behind a command word, whatever its capitals; undefined where there is none. */
export function getMethod(service: object, word: string): CommandMethod | undefined {
  const name = `Cmd${word.slice(0, 1).toUpperCase()}${word.slice(1).toLowerCase()}`;
  if (!/^Cmd[A-Z][a-z]*$/.test(name)) return undefined;
  for (let level: unknown = Object.getPrototypeOf(service); level !== null && typeof level === 'object';) {
    const method: unknown = Object.getOwnPropertyDescriptor(level, name)?.value;
    if (typeof method === 'function') return method as CommandMethod; // the name says which shape it has
    level = Object.getPrototypeOf(level);
  }
  return undefined;
}

/**
 * The words after the flags of the program itself, of which there are none: any flag before the command word prints the
 * overview and is an error.
 */
function commandLine(service: Service, stdout: ReplyStream, words: string[]): string[] {
  try {
    return parseFlags({}, words).args;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    if (error.message !== HELP_REQUESTED) stdout.write(`${error.message}\n`);
    stdout.write(overviewText(service.commands));
    stdout.status = 1;
    throw error;
  }
}
