// The command line of the replayer, and what `--help` says of it.

import { parseArgs } from 'node:util';
import type { Address } from './exchange.js';
import { USAGE_FORMS, type UsageForm } from './expectations/usage.js';
import { TRANSPORTS, type Shard, type Transport } from './selection.js';

export const HELP = `Usage: npm run conformance -- [OPTIONS] [CASE...]

Plays recorded cases against a daemon. CASE is a folder (january, march, ours), a name, or a file; all unless given.
All containers of the daemon are removed before and after each case, and for march all its images but base.

A daemon that runs:
  --tcp HOST:PORT        its TCP port (127.0.0.1:4242)
  --http HOST:PORT       its HTTP port (127.0.0.1:8080)
  --root DIR             its data directory, for the cases that look into it
  --restart CMD          stops it and starts it again on the same data
  --net                  the addresses of its containers can be reached from here
  --term                 it can send a container SIGTERM
  --destroy              go on although it has containers
  --setup-tar FILE       another base image
  --usage 2013|go1.19    how flags are listed in usages; go1.19 is what an original has that was built in our days

Daemons of our own, on a machine made for them (a network namespace), which is root's to do:
  --drivers NAME,NAME    one after the other: aufs, overlay, vfs, or default for the first that works
  --daemons N            so many at once (4)

  --transports tcp,http  http: the plain calls of the cases over HTTP (tcp)
  --commands NAME,NAME   only the cases of these commands
  --shard I/N            only every N-th case, from the I-th on
  --strict               a case that cannot be played is a failed one
  --retries N            play a case that failed again
  --timeout S            how long a call may take (20)
  -v                     with seconds
  --write-fixture FILE   write the base image of january and end
`;

export interface Options {
  tcp: Address;
  http: Address;
  root?: string | undefined;
  restart?: string | undefined;
  hasNetwork: boolean;
  hasTerm: boolean;
  shouldDestroy: boolean;
  setupTar?: string | undefined;
  usage: UsageForm;
  drivers: string[];
  daemons: number;
  transports: Transport[];
  commands: string[];
  shard: Shard;
  isStrict: boolean;
  retries: number;
  timeoutMs: number;
  isVerbose: boolean;
  writeFixture?: string | undefined;
  help: boolean;
  words: string[];
}

/** Reads the command line. Throws where it is not right. */
export function readOptions(args: string[]): Options {
  const string = (value: string): { type: 'string'; default: string } => ({ type: 'string', default: value });
  const boolean = { type: 'boolean', default: false } as const;
  const optional = { type: 'string' } as const;
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      tcp: string('127.0.0.1:4242'),
      http: string('127.0.0.1:8080'),
      root: optional,
      restart: optional,
      net: boolean,
      term: boolean,
      destroy: boolean,
      'setup-tar': optional,
      usage: string('2013'),
      drivers: string(''),
      daemons: string('4'),
      transports: string('tcp'),
      commands: string(''),
      shard: string('1/1'),
      strict: boolean,
      retries: string('0'),
      timeout: string('20'),
      verbose: { ...boolean, short: 'v' },
      'write-fixture': optional,
      help: { ...boolean, short: 'h' },
    },
  });
  const [at, of] = values.shard.split('/').map((number) => numberOf('shard', number));
  return {
    tcp: addressOf(values.tcp),
    http: addressOf(values.http),
    root: values.root,
    restart: values.restart,
    hasNetwork: values.net,
    hasTerm: values.term,
    shouldDestroy: values.destroy,
    setupTar: values['setup-tar'],
    usage: oneOf('usage', values.usage, USAGE_FORMS),
    drivers: listOf(values.drivers),
    daemons: numberOf('daemons', values.daemons),
    transports: listOf(values.transports).map((name) => oneOf('transports', name, TRANSPORTS)),
    commands: listOf(values.commands),
    shard: { at: at ?? 1, of: of ?? 1 },
    isStrict: values.strict,
    retries: numberOf('retries', values.retries),
    timeoutMs: numberOf('timeout', values.timeout) * 1000,
    isVerbose: values.verbose,
    writeFixture: values['write-fixture'],
    help: values.help,
    words: positionals,
  };
}

function addressOf(text: string): Address {
  const colon = text.lastIndexOf(':');
  return { host: text.slice(0, Math.max(0, colon)) || '127.0.0.1', port: numberOf('address', text.slice(colon + 1)) };
}

function listOf(text: string): string[] {
  return text.split(',').filter(Boolean);
}

function numberOf(option: string, text: string): number {
  const number = Number(text);
  if (text === '' || !(number >= 0)) throw new Error(`Cannot read the ${option} "${text}": it is no number`);
  return number;
}

function oneOf<T extends string>(option: string, text: string, known: readonly T[]): T {
  const found = known.find((name) => name === text);
  if (found === undefined) throw new Error(`Cannot read --${option} "${text}": it is one of ${known.join(', ')}`);
  return found;
}
