#!/usr/bin/env node
// The one program: `tsdock -d` hosts the daemon, `-i` opens a shell of its commands, anything else is a call to one. A
// link to it that is named as a command is that command.
//
// Only what the call needs is loaded: the client never sees the kernel's bindings.
//
// 2013: docker/docker.go and dockerd/dockerd.go, main

import { DEFAULT_ADDRESS } from './client/address.js';
import { commandNamed, programWords } from './client/program-name.js';
import { bool, command, string } from './rcli/command.js';
import { FlagError, HELP_REQUESTED } from './rcli/flags.js';
import { PROGRAM, usageText } from './rcli/usage.js';
import { errorMessage } from './util/errors.js';

// DIFFERS D13: data lies under /var/lib/tsdock, so that an installed Docker is never touched.
const program = command(
  '[-d [OPTIONS] | -i [SCRIPT [arg...]] | COMMAND [arg...]]',
  '',
  'Run the daemon, or send a command to one.',
  {
    d: bool(false, 'Run the daemon'),
    i: bool(false, "Open a shell whose commands are the daemon's, or run a script in one"),
    g: string('/var/lib/tsdock', 'Data directory of the daemon'),
    H: string(
      '',
      `HOST:PORT of the daemon: where it listens, or where to send the command (else $DOCKER, else ${DEFAULT_ADDRESS})`,
    ),
    http: string('127.0.0.1:8080', 'HOST:PORT of its HTTP server, or off'),
    driver: string('', 'Mount driver, aufs, overlay or vfs; the first that works unless it is named'),
    bridge: string(
      '',
      'Bridge of the containers, made where it is missing, or none (else tsdock0, or the next that is free)',
    ),
    bip: string('', 'ADDRESS/PREFIX of the bridge; one that nothing else on this machine uses unless it is given'),
    clean: bool(
      false,
      'Instead of running, take everything off the machine that daemons have made here, but for the data',
    ),
    data: bool(false, 'With --clean, take the data directory off too'),
    D: bool(false, 'Print each step of what the daemon does'),
  },
);

process.exit(
  await main(process.argv.slice(2)).catch((error: unknown) => {
    process.stderr.write(`${PROGRAM}: ${errorMessage(error)}\n`);
    return 1;
  }),
);

async function main(argv: string[]): Promise<number> {
  const environment = process.env['DOCKER'] || DEFAULT_ADDRESS;
  const word = commandNamed(process.argv[1]);
  if (word !== undefined) return client([word, ...argv], environment);
  if (process.env['TSDOCK_VERBATIM'] === '1') return client(argv, environment);
  try {
    const { flags, args } = program.read(argv);
    if (!flags.d && flags.i) return await shell(args, flags.H || environment);
    if (!flags.d) return await client(args, flags.H || environment);
    if (flags.clean) await clean(flags);
    else await daemon(flags);
    return 0;
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    const isHelp = error.message === HELP_REQUESTED;
    const text = `${usageText(program)}\n"${PROGRAM} help" lists the commands of the daemon.\n`;
    (isHelp ? process.stdout : process.stderr).write(isHelp ? text : `${PROGRAM}: ${error.message}\n${text}`);
    return isHelp ? 0 : 2;
  }
}

async function client(words: string[], address: string): Promise<number> {
  const { runClient } = await import('./client/client.js');
  return runClient(words, address);
}

async function shell(script: string[], address: string): Promise<number> {
  const { runInteractive } = await import('./client/interactive.js');
  return runInteractive(script, address, programWords(process.execPath, process.argv[1]));
}

type ProgramFlags = ReturnType<typeof program.read>['flags'];

async function clean({ g, data, bridge }: ProgramFlags): Promise<void> {
  const { clean: cleanUp } = await import('./server/clean.js');
  await cleanUp({ directory: g, withData: data, bridge }, (line) => void process.stdout.write(`${line}\n`));
}

async function daemon({ g, H, http, driver, bridge, bip, D }: ProgramFlags): Promise<void> {
  const wanted = process.env['DEBUG'] ?? '';
  if (D) {
    const { default: createDebug } = await import('debug');
    createDebug.enable(`${wanted},tsdock:*`);
  }
  if (D || wanted.includes('tsdock')) (await import('./util/steps.js')).printSteps();
  const { runDaemon } = await import('./server/daemon.js');
  await runDaemon({ directory: g, tcp: H || DEFAULT_ADDRESS, http, driver: driver || undefined, bridge, bip });
}
