// The one program: `tsdock -d` hosts the daemon, `-i` opens a shell of its commands, anything else is a call to one. A
// link to it that is named as a command is that command.
//
// Only what the call needs is loaded: the client never sees the kernel's bindings.
//
// 2013: docker/docker.go and dockerd/dockerd.go, main

import { DEFAULT_ADDRESS } from './client/address.js';
import { commandNamed, programWords } from './client/program-name.js';
import { bool, command, list, string } from './rcli/command.js';
import { FlagError, HELP_REQUESTED } from './rcli/flags.js';
import { PROGRAM, usageText } from './rcli/usage.js';
import { errorMessage } from './util/errors.js';
import { tlsOptions, type TlsOptions } from './util/tls-options.js';

// DIFFERS D13: data lies under /var/lib/tsdock, so that an installed Docker is never touched.
const program = command(
  '[-d [OPTIONS] | -i [SCRIPT [arg...]] | COMMAND [arg...]]',
  '',
  'Run the daemon, or send a command to one.',
  {
    d: bool(false, 'Run the daemon'),
    i: bool(false, "Open a shell whose commands are the daemon's, or run a script in one"),
    g: string('/var/lib/tsdock', 'Data directory of the daemon'),
    H: list(
      `Where to send the command: HOST:PORT or unix:///PATH (else $DOCKER, else ${DEFAULT_ADDRESS}). Where the daemon listens: ` +
        `may be given more than once, and takes the place of ${DEFAULT_ADDRESS}`,
      () => undefined,
    ),
    http: string('127.0.0.1:8080', 'Where its HTTP server listens: HOST:PORT, unix:///PATH, or off'),
    tls: bool(false, 'Speak TLS on the ports; of the two only the daemon has a certificate, and nobody checks it'),
    tlsverify: bool(
      false,
      'Speak TLS, and demand and check a certificate of the other side; the client does too where DOCKER_TLS_VERIFY is set',
    ),
    tlscacert: string(
      '',
      'File with the certificate that signed those of both sides (else ca.pem in $DOCKER_CERT_PATH, else in ~/.tsdock)',
    ),
    tlscert: string('', 'File with the certificate to show (else cert.pem there)'),
    tlskey: string('', 'File with the key to that (else key.pem there)'),
    driver: string('', 'Mount driver, aufs, overlay or vfs; the first that works unless it is named'),
    bridge: string(
      '',
      'Bridge of the containers, made where it is missing, or none (else tsdock0, or the next that is free)',
    ),
    bip: string('', 'ADDRESS/PREFIX of the bridge; one that nothing else on this machine uses unless it is given'),
    'log-max': string(
      '0',
      'What the log of a container may have on disk, as in 100m; the oldest goes first (0: any amount)',
    ),
    clean: bool(
      false,
      'Instead of running, take everything off the machine that daemons have made here, but for the data',
    ),
    data: bool(false, 'With --clean, take the data directory off too'),
    D: bool(false, 'Print each step of what the daemon does'),
  },
);

main(process.argv.slice(2)).then(
  (status) => process.exit(status),
  (error: unknown) => {
    process.stderr.write(`${PROGRAM}: ${errorMessage(error)}\n`);
    process.exit(1);
  },
);

async function main(argv: string[]): Promise<number> {
  const word = commandNamed(process.argv[1]);
  if (word !== undefined) return client([word, ...argv], program.read([]).flags);
  if (process.env['TSDOCK_VERBATIM'] === '1') return client(argv, program.read([]).flags);
  try {
    const { flags, args } = program.read(argv);
    if (!flags.d && flags.i) return await shell(args, flags);
    if (!flags.d) return await client(args, flags);
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

type ProgramFlags = ReturnType<typeof program.read>['flags'];

async function client(words: string[], flags: ProgramFlags): Promise<number> {
  const { runClient } = await import('./client/client.js');
  const { text, tls } = target(flags);
  return runClient(words, text, tls);
}

async function shell(script: string[], flags: ProgramFlags): Promise<number> {
  const { runInteractive } = await import('./client/interactive.js');
  const { text, tls } = target(flags);
  return runInteractive(script, text, programWords(process.execPath, process.argv[1]), tls);
}

/** Whom to call, and how. */
function target({ H, tlsverify, ...flags }: ProgramFlags): { text: string; tls: TlsOptions | undefined } {
  if (H.length > 1) throw new Error(`Cannot call ${H.length} daemons at once: give -H once`);
  const isVerified = tlsverify || Boolean(process.env['DOCKER_TLS_VERIFY']);
  return {
    text: H[0] || process.env['DOCKER'] || DEFAULT_ADDRESS,
    tls: tlsOptions({ ...flags, tlsverify: isVerified }, process.env),
  };
}

async function clean({ g, data, bridge }: ProgramFlags): Promise<void> {
  const { clean: cleanUp } = await import('./server/clean.js');
  await cleanUp({ directory: g, withData: data, bridge }, (line) => void process.stdout.write(`${line}\n`));
}

async function daemon(flags: ProgramFlags): Promise<void> {
  const wanted = process.env['DEBUG'] ?? '';
  if (flags.D) {
    const { default: createDebug } = await import('debug');
    createDebug.enable(`${wanted},tsdock:*`);
  }
  if (flags.D || wanted.includes('tsdock')) (await import('./util/steps.js')).printSteps();
  const { runDaemon } = await import('./server/daemon.js');
  const { g, H, http, driver, bridge, bip, 'log-max': logMax } = flags;
  const addresses = H.filter((text) => text !== '');
  await runDaemon({
    directory: g,
    tcp: addresses.length === 0 ? [DEFAULT_ADDRESS] : addresses,
    http,
    tls: tlsOptions(flags, process.env),
    driver: driver || undefined,
    bridge,
    bip,
    logMax,
  });
}
