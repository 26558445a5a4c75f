// Usage texts, laid out as the Go of 2013 prints them.
//
// 2013: rcli/types.go, Subcmd (the Usage function); dockerd/dockerd.go, Server.Help; package flag, PrintDefaults

import type { FlagValue } from './flags.js';

/** What a usage text is made from; `Command` is one. */
export interface Declared {
  readonly name: string;
  readonly synopsis: string;
  readonly description: string;
  readonly flags: Readonly<Record<string, { readonly value: FlagValue; readonly text: string }>>;
}

/** The program's own name in usage lines. DIFFERS D03: the original says `docker`. */
export const PROGRAM = 'tsdock';

/** The usage text of one command. */
export function usageText({ name, synopsis, description, flags }: Declared): string {
  const lines = Object.entries(flags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([flag, { value, text }]) => `  -${flag}=${showValue(value)}: ${text}\n`);
  return `\nUsage: ${PROGRAM} ${name}${synopsis === '' ? '' : ` ${synopsis}`}\n\n${description}\n\n${lines.join('')}`;
}

/** The overview of all commands, in the order given. */
export function overviewText(commands: readonly Declared[]): string {
  const lines = commands.map(({ name, description }) => `    ${name.padEnd(10)}${description}\n`);
  return `Usage: ${PROGRAM} COMMAND [arg...]\n\nA runtime for Linux containers, as it was in early 2013.\n\nCommands:\n${lines.join('')}`;
}

function showValue(value: FlagValue): string {
  if (typeof value === 'object') return `[${value.join(' ')}]`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
