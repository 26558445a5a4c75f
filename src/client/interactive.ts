// `tsdock -i`: a bash in which the daemon's commands are commands of the shell. `ps` is `tsdock ps`, and pipes, quotes,
// `$?`, history and Ctrl-C are bash's own. The names come from the daemon's `help`, so an original one does as well.
//
// They hide commands of the shell, as in 2013, but only for whoever types them or writes them into a script.
//
// DIFFERS D30: they are aliases. The original put links in front of PATH, and each script and makefile that was run from its
// shell found the daemon's `rm`, `kill` and `tar` in place of the machine's.
//
// 2013: client/client.go of March, InteractiveMode

import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, unlinkSync, writeSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { PROGRAM } from '../rcli/usage.js';
import { tlsWords, type TlsOptions } from '../util/tls-options.js';
import { daemonAddress } from './address.js';
import { ask } from './ask.js';
import { ClientError } from './connection.js';

/** Where bash finds what it reads at its start: the file has no name any more. */
const START_FILE = '/dev/fd/3';
/** Without these there is no way back to what an alias hides, or no shell. No daemon has such a command. */
const KEPT_WORDS = ['alias', 'builtin', 'cd', 'command', 'exit', 'unalias', PROGRAM];

/** What the shell begins with. */
export interface ShellStart {
  /** the daemon's commands */
  names: readonly string[];
  /** the words that run this program */
  program: readonly string[];
  /** its address, as the user gave it */
  address: string;
  /** a person types; else it reads a script */
  isInteractive: boolean;
  /** the file that BASH_ENV named before, which bash reads before a script; empty for none */
  bashEnv: string;
}

/**
 * Opens the shell, or runs a script with its arguments in it. Resolves with its exit status; rejects with ClientError
 * where there is no daemon or no bash. `program` is what runs this program.
 */
export async function runInteractive(
  script: readonly string[],
  address: string,
  program: readonly string[],
  tls?: TlsOptions,
): Promise<number> {
  const names = commandNames(await ask(daemonAddress(address, tls), ['help']));
  if (names.length === 0) throw new ClientError(`Cannot open a shell: "help" of ${address} lists no commands`);
  const isInteractive = script.length === 0 && isatty(0);
  const bashEnv = process.env['BASH_ENV'] ?? '';
  const tlsFlags = tls === undefined ? [] : tlsWords(tls);
  const file = nameless(startText({ names, program: [...program, ...tlsFlags], address, isInteractive, bashEnv }));
  const env = { ...process.env, DOCKER: address, ...(isInteractive ? {} : { BASH_ENV: START_FILE }) };
  const args = isInteractive ? ['--rcfile', START_FILE, '-i'] : script;
  const shell = spawn('bash', args, { stdio: ['inherit', 'inherit', 'inherit', file], env });
  closeSync(file);
  return exitStatus(shell);
}

/** The commands in an overview, sorted, each once, and `help` with them. */
export function commandNames(overview: string): string[] {
  const [, list = ''] = /^Commands:\n((?: {4}.*\n)+)/m.exec(overview) ?? [];
  const listed = [...list.matchAll(/^ {4}([a-z]+) /gm)].map(([, name = '']) => name);
  if (listed.length === 0) return [];
  return [...new Set(['help', ...listed])].filter((name) => !KEPT_WORDS.includes(name)).sort();
}

/** What bash reads before anything else: the user's own start file first, so that ours holds. */
export function startText({ names, program, address, isInteractive, bashEnv }: ShellStart): string {
  const ofUser = isInteractive
    ? ['if [ -r ~/.bashrc ]; then . ~/.bashrc; fi']
    : ['unset BASH_ENV', ...(bashEnv === '' ? [] : [`export BASH_ENV=${quote(bashEnv)}`, `. ${quote(bashEnv)}`])];
  const prompt = [
    'unset PROMPT_COMMAND', // which would often set another prompt
    `PS1='\\h ${PROGRAM}> '`,
    `printf '%s\\n' ${banner(names, address).map(quote).join(' ')}`,
  ];
  const lines = [
    'exec 3<&-',
    ...ofUser,
    'shopt -s expand_aliases',
    `alias ${PROGRAM}=${quote(program.map(quote).join(' '))}`,
    ...names.map((name) => `alias ${name}='${PROGRAM} ${name}'`),
    ...(isInteractive ? prompt : []),
  ];
  return `${lines.join('\n')}\n`;
}

function banner(names: readonly string[], address: string): string[] {
  return [
    `The commands of the daemon at ${address} are commands of this shell:`,
    `  ${names.join(' ').replace(/(.{1,76}) /g, '$1\n  ')}`,
    `They hide what else has these names: "command ls" and "builtin wait" are the shell's own. "exit" leaves.`,
  ];
}

/** One word of the shell, whatever is in it. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** A descriptor of a file with that text, which goes with its last reader, however that ends. */
function nameless(text: string): number {
  const path = join(tmpdir(), `tsdock-shell-${randomBytes(8).toString('hex')}`);
  const file = openSync(path, 'wx', 0o600);
  unlinkSync(path);
  writeSync(file, text);
  return file;
}

/** Waits for the shell. Ctrl-C is not for us; who ends us ends it. */
async function exitStatus(shell: ChildProcess): Promise<number> {
  const ignore = (): void => undefined;
  const hangUp = (): void => void shell.kill('SIGHUP'); // an interactive bash does not end by SIGTERM
  process.on('SIGINT', ignore).on('SIGQUIT', ignore).on('SIGTERM', hangUp).on('SIGHUP', hangUp);
  try {
    return await new Promise((resolve, reject) => {
      shell.once('error', (error) => reject(new ClientError(`Cannot open a shell: cannot run bash: ${error.message}`)));
      shell.once('exit', (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
    });
  } finally {
    process.off('SIGINT', ignore).off('SIGQUIT', ignore).off('SIGTERM', hangUp).off('SIGHUP', hangUp);
  }
}
