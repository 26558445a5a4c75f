// The name that the program was called by: a link to it that has the name of a command is that command.
//
// Node makes the second argument the absolute path of the script, links not followed, so also behind the links that npm makes; in
// a single-file executable it is the name as it was typed.
//
// 2013: docker/docker.go of March, main

import { realpathSync } from 'node:fs';
import { basename, isAbsolute } from 'node:path';
import { PROGRAM } from '../rcli/usage.js';

/** Names that are the program's own. */
const OWN_NAMES = [PROGRAM, 'docker'];

/** The command that a program called `script` (process.argv[1]) is; undefined where that is the program itself. */
export function commandNamed(script: string | undefined): string | undefined {
  const name = basename(script ?? '').replace(/\.js$/, '');
  // No command has anything but letters; tsdock-1.0 is no command.
  return OWN_NAMES.includes(name) || !/^[a-z]+$/i.test(name) ? undefined : name;
}

/** The words by which a shell runs this same program, in whatever folder: process.execPath and process.argv[1] tell. */
export function programWords(execPath: string, script: string | undefined): string[] {
  if (script === undefined || !isAbsolute(script)) return [execPath];
  const path = realpathSync(script);
  return path === realpathSync(execPath) ? [execPath] : [execPath, path];
}
